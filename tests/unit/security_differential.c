/* SPDX-License-Identifier: Apache-2.0 */
/*
 * security: the access check against an evaluator that shares nothing with it. Random descriptors and tokens
 * are made as models; the check gets them as SDDL text and as a token, the model is judged as it stands:
 * right by right, the first ACE that applies and names the right decides it (where the check subtracts masks
 * from what remains).
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "sddl_lab.h"

#define CASES    60000
#define SIDS     10 /* subjects, by number */
#define ACES     6
#define NODES    7
#define GROUPS   6
#define RIGHTS   4
#define VALUES   3
#define NAMES    4
#define GUID_ANY "bf967aba-0de6-11d0-a285-00aa003049e2"

static const char *const sid_text[SIDS] = {
    "S-1-5-21-1-2-3-1001",    "WD", "BU", "BA", "S-1-5-80-1-2-3-4-5", "RC", "OW", "S-1-15-3-1", "AC",
    "S-1-15-2-1-2-3-4-5-6-7",
};
enum { OWNER_RIGHTS = 6, CAPABILITY = 7, ALL_PACKAGES = 8, PACKAGE = 9 };
static const char *const name_text[NAMES] = {"a", "WIN://SYSAPPID", "@User.x", "none"};

enum op {
    OP_ATTR,
    OP_EXISTS,
    OP_EQ,
    OP_NE,
    OP_LT,
    OP_GE,
    OP_CONTAINS,
    OP_ANY_OF,
    OP_MEMBER,
    OP_MEMBER_ANY,
    OP_NOT,
    OP_AND,
    OP_OR,
    OPS
};
struct node {
    enum op op;
    int left, right; /* of NOT, AND, OR */
    int name;
    int count, values[VALUES]; /* right side: small integers, or SIDs */
};
struct ace {
    bool deny, inherit_only, object, typed, conditional;
    unsigned mask;
    int sid;
    struct node nodes[NODES];
    int node_count;
};
struct model {
    int ace_count;
    struct ace aces[ACES];
    int owner; /* a sid, or -1 */
    bool null_dacl;
    int group_count, groups[GROUPS], group_state[GROUPS]; /* 0 off, 1 on, 2 deny only */
    int restricted_count, restricted[GROUPS];
    bool container, capability;
    int attribute_count[NAMES], attributes[NAMES][VALUES]; /* count -1: absent */
    unsigned desired;
};

/* ---- chance, seeded ---------------------------------------------------------------------------------------
 */
static uint64_t seed;
static unsigned roll(unsigned n)
{
    seed = seed * 6364136223846793005ull + 1442695040888963407ull;
    return (unsigned)((seed >> 33) % n);
}

static int make_node(struct ace *a, int depth)
{
    int at = a->node_count++;
    struct node *n = &a->nodes[at];
    bool room = depth < 2 && a->node_count + 2 <= NODES - 1;
    n->op = roll(room ? OPS : OP_NOT);
    n->name = (int)roll(NAMES);
    n->count = n->op == OP_LT || n->op == OP_GE ? 1 : 1 + (int)roll(VALUES);
    for (int i = 0; i < n->count; i++) {
        n->values[i] = n->op == OP_MEMBER || n->op == OP_MEMBER_ANY ? (int)roll(5) : (int)roll(4);
    }
    if (n->op >= OP_NOT) {
        n->left = make_node(a, depth + 1);
        n->right = n->op == OP_NOT ? -1 : make_node(a, depth + 1);
    }
    return at;
}

static void make_model(struct model *m)
{
    memset(m, 0, sizeof(*m));
    m->ace_count = (int)roll(ACES + 1);
    for (int i = 0; i < m->ace_count; i++) {
        struct ace *a = &m->aces[i];
        a->deny = roll(3) == 0;
        a->inherit_only = roll(10) == 0;
        a->object = roll(8) == 0;
        a->typed = a->object && roll(2) == 0;
        a->conditional = !a->object && roll(3) == 0;
        a->mask = 1 + roll((1 << RIGHTS) - 1);
        a->sid = (int)roll(SIDS);
        if (a->conditional) {
            make_node(a, 0);
        }
    }
    m->owner = (int)roll(4) - 1;
    m->null_dacl = roll(50) == 0;
    m->group_count = (int)roll(GROUPS + 1);
    for (int i = 0; i < m->group_count; i++) {
        m->groups[i] = 1 + (int)roll(5);
        m->group_state[i] = roll(2) != 0 ? 1 : (int)roll(3);
    }
    if (roll(4) == 0) {
        m->restricted_count = 1 + (int)roll(3);
        for (int i = 0; i < m->restricted_count; i++) {
            m->restricted[i] = (int)roll(6);
        }
    }
    m->container = roll(3) == 0;
    m->capability = roll(2) == 0;
    for (int i = 0; i < NAMES; i++) {
        m->attribute_count[i] = i == NAMES - 1 ? -1 : (int)roll(VALUES + 2) - 1;
        for (int k = 0; k < m->attribute_count[i]; k++) {
            m->attributes[i][k] = (int)roll(4);
        }
    }
    m->desired = 1 + roll((1 << RIGHTS) - 1);
}

/* ---- the model as text and token
 * ---------------------------------------------------------------------------- */
static void write_node(char *out, const struct ace *a, int at)
{
    static const char *const words[] = {"",   "Exists",   "==",     "!=",        "<",
                                        ">=", "Contains", "Any_of", "Member_of", "Member_of_Any"};
    const struct node *n = &a->nodes[at];
    out += strlen(out);
    if (n->op == OP_NOT) {
        strcat(out, "!(");
        write_node(out, a, n->left);
        strcat(out, ")");
    } else if (n->op == OP_AND || n->op == OP_OR) {
        strcat(out, "(");
        write_node(out, a, n->left);
        strcat(out, n->op == OP_AND ? ") && (" : ") || (");
        write_node(out, a, n->right);
        strcat(out, ")");
    } else if (n->op == OP_ATTR || n->op == OP_EXISTS) {
        sprintf(out, "%s %s", words[n->op], name_text[n->name]);
    } else {
        bool member = n->op == OP_MEMBER || n->op == OP_MEMBER_ANY;
        sprintf(out, "%s %s %s", member ? "" : name_text[n->name], words[n->op], n->count > 1 ? "{" : "");
        for (int i = 0; i < n->count; i++) {
            out += strlen(out);
            if (member) {
                sprintf(out, "%sSID(%s)", i != 0 ? "," : "", sid_text[n->values[i]]);
            } else {
                sprintf(out, "%s%d", i != 0 ? "," : "", n->values[i]);
            }
        }
        strcat(out, n->count > 1 ? "}" : "");
    }
}

static struct lab_sd write_sd(const struct model *m)
{
    static char text[16384];
    text[0] = '\0';
    if (m->owner >= 0) {
        sprintf(text, "O:%s", sid_text[m->owner]);
    }
    strcat(text, m->null_dacl ? "D:NO_ACCESS_CONTROL" : "D:");
    for (int i = 0; !m->null_dacl && i < m->ace_count; i++) {
        const struct ace *a = &m->aces[i];
        const char *type = a->conditional ? (a->deny ? "XD" : "XA")
                           : a->object    ? (a->deny ? "OD" : "OA")
                           : a->deny      ? "D"
                                          : "A";
        sprintf(text + strlen(text), "(%s;%s;%u;%s;%s;%s", type, a->inherit_only ? "IO" : "", a->mask,
                a->typed ? GUID_ANY : "", a->object && !a->typed ? GUID_ANY : "", sid_text[a->sid]);
        if (a->conditional) {
            strcat(text, ";(");
            write_node(text, a, 0);
            strcat(text, ")");
        }
        strcat(text, ")");
    }
    return lab_sd(text);
}

static struct security_token *write_token(const struct model *m)
{
    struct lab_sid user, package, capability, sids[2 * GROUPS];
    SID_AND_ATTRIBUTES groups[GROUPS], restricted[GROUPS];
    struct security_attribute attributes[NAMES];
    int64_t integers[NAMES][VALUES];
    size_t count = 0;
    for (int i = 0; i < m->group_count; i++) {
        static const ULONG states[] = {0, SE_GROUP_ENABLED, SE_GROUP_USE_FOR_DENY_ONLY};
        groups[i].Sid = (PSID)lab_sid(&sids[i], sid_text[m->groups[i]]);
        groups[i].Attributes = states[m->group_state[i]];
    }
    for (int i = 0; i < m->restricted_count; i++) {
        restricted[i].Sid = (PSID)lab_sid(&sids[GROUPS + i], sid_text[m->restricted[i]]);
        restricted[i].Attributes = 0;
    }
    for (int i = 0; i < NAMES; i++) {
        for (int k = 0; k < m->attribute_count[i]; k++) {
            integers[i][k] = m->attributes[i][k];
        }
        if (m->attribute_count[i] > 0) {
            attributes[count++] = (struct security_attribute){.name = name_text[i],
                                                              .integers = integers[i],
                                                              .integer_count = (size_t)m->attribute_count[i]};
        }
    }
    SID_AND_ATTRIBUTES capabilities = {.Sid = (PSID)lab_sid(&capability, sid_text[CAPABILITY]),
                                       .Attributes = SE_GROUP_ENABLED};
    struct security_token_spec spec = {.user = lab_sid(&user, sid_text[0]),
                                       .groups = groups,
                                       .group_count = (size_t)m->group_count,
                                       .restricted = restricted,
                                       .restricted_count = (size_t)m->restricted_count,
                                       .package = m->container ? lab_sid(&package, sid_text[PACKAGE]) : NULL,
                                       .capabilities = &capabilities,
                                       .capability_count = m->container && m->capability ? 1 : 0,
                                       .attributes = attributes,
                                       .attribute_count = count};
    struct security_token *t;
    assert_int_equal(security_token_create(&spec, &t), 0);
    return t;
}

/* ---- the model judged
 * ------------------------------------------------------------------------------------------ */
enum { NO, YES, MAYBE };

static bool user_has(const struct model *m, int sid, bool deny)
{
    bool has = sid == 0;
    for (int i = 0; i < m->group_count; i++) {
        has |= m->groups[i] == sid && (m->group_state[i] == 1 || (deny && m->group_state[i] == 2));
    }
    return has;
}

static bool among(int value, const int *values, int count)
{
    for (int i = 0; i < count; i++) {
        if (values[i] == value) {
            return true;
        }
    }
    return false;
}

static int judge(const struct model *m, const struct ace *a, int at)
{
    const struct node *n = &a->nodes[at];
    int have = m->attribute_count[n->name], found = 0, covered = 0;
    const int *values = m->attributes[n->name];
    bool absent = have <= 0; /* a claim without values is not made by write_token */
    if (n->op >= OP_NOT) {
        int left = judge(m, a, n->left), right = n->op == OP_NOT ? NO : judge(m, a, n->right);
        if (n->op == OP_NOT) {
            return left == MAYBE ? MAYBE : !left;
        }
        int strong = n->op == OP_AND ? NO : YES;
        return left == strong || right == strong ? strong : left == MAYBE || right == MAYBE ? MAYBE : !strong;
    }
    if (n->op == OP_MEMBER || n->op == OP_MEMBER_ANY) {
        for (int i = 0; i < n->count; i++) {
            found += user_has(m, n->values[i], a->deny);
        }
        return n->op == OP_MEMBER ? found == n->count : found > 0;
    }
    if (n->op == OP_EXISTS) {
        return !absent;
    }
    if (absent || (n->op == OP_ATTR && have != 1)) {
        return MAYBE;
    }
    for (int i = 0; i < n->count; i++) {
        found += among(n->values[i], values, have);
    }
    for (int i = 0; i < have; i++) {
        covered += among(values[i], n->values, n->count);
    }
    switch (n->op) {
    case OP_ATTR:
        return values[0] != 0;
    case OP_EQ:
        return found == n->count && covered == have;
    case OP_NE:
        return !(found == n->count && covered == have);
    case OP_LT:
        return have != 1 ? MAYBE : values[0] < n->values[0];
    case OP_GE:
        return have != 1 ? MAYBE : values[0] >= n->values[0];
    case OP_CONTAINS:
        return found == n->count;
    default:
        return found > 0;
    }
}

enum part { PART_USER, PART_RESTRICTED, PART_PACKAGE };

static bool part_has(const struct model *m, enum part part, int sid, bool deny)
{
    if (part == PART_RESTRICTED) {
        return among(sid, m->restricted, m->restricted_count);
    }
    if (part == PART_PACKAGE) {
        return sid == PACKAGE || sid == ALL_PACKAGES || (sid == CAPABILITY && m->capability);
    }
    return user_has(m, sid, deny);
}

static bool naive_right(const struct model *m, enum part part, unsigned right)
{
    bool owns = part != PART_PACKAGE && m->owner >= 0 && part_has(m, part, m->owner, false);
    for (int i = 0; i < m->ace_count; i++) {
        const struct ace *a = &m->aces[i];
        if (!(a->mask & right) || a->inherit_only || a->typed) {
            continue;
        }
        if (!part_has(m, part, a->sid, a->deny) && !(owns && a->sid == OWNER_RIGHTS)) {
            continue;
        }
        int applies = a->conditional ? judge(m, a, 0) : YES;
        if (applies == YES || (applies == MAYBE && a->deny)) {
            return !a->deny;
        }
    }
    return false;
}

static bool naive_check(const struct model *m)
{
    bool all = true;
    for (unsigned right = 1; right < 1u << RIGHTS; right <<= 1) {
        if (m->desired & right) {
            all &= naive_right(m, PART_USER, right);
            all &= m->restricted_count == 0 || naive_right(m, PART_RESTRICTED, right);
            all &= !m->container || naive_right(m, PART_PACKAGE, right);
        }
    }
    return m->null_dacl || all;
}

static void the_check_agrees_with_an_independent_one(void **state)
{
    static struct model m;
    unsigned granted = 0;
    (void)state;
    for (unsigned i = 0; i < CASES; i++) {
        seed = i * 2654435761u + 1;
        make_model(&m);
        struct lab_sd sd = write_sd(&m);
        struct security_token *t = write_token(&m);
        bool expected = naive_check(&m);
        if (security_access_check(sd.data, sd.size, security_token_blob(t), m.desired) != expected) {
            char *text = NULL;
            security_sddl_format(sd.data, sd.size, &text);
            fail_msg("case %u: %s wanted 0x%x: expected %d", i, text, m.desired, expected);
        }
        granted += expected;
        security_token_destroy(t);
        free(sd.data);
    }
    /* a test in which nearly all is refused would test little */
    assert_in_range(granted, CASES / 20, CASES * 19 / 20);
}

/* ---- what explain asks
 * ------------------------------------------------------------------------------------------ */
struct seen {
    char sids[1024], tests[1024];
};

static void see_sid(void *ctx, const SID *sid, bool allow)
{
    struct seen *s = ctx;
    char text[200];
    assert_true(security_sid_format(sid, text, sizeof(text)) > 0);
    sprintf(s->sids + strlen(s->sids), "%c%s ", allow ? '+' : '-', text);
}

static void see_test(void *ctx, const char *attribute, const char *value)
{
    struct seen *s = ctx;
    sprintf(s->tests + strlen(s->tests), "%s=%s ", attribute, value != NULL ? value : "?");
}

static void a_visit_tells_sids_and_tests(void **state)
{
    struct seen seen = {0};
    const struct security_sd_visitor v = {.ctx = &seen, .sid = see_sid, .condition = see_test};
    struct lab_sd sd = lab_sd(
        "O:BAD:(D;;CC;;;AN)(A;IO;CC;;;SY)(A;;CC;;;OW)(XA;;CC;;;WD;(WIN://SYSAPPID Contains {\"a\", \"b\"} "
        "&& (n == 0x10 || Exists @User.e) && !(t) && Member_of_Any {SID(BU), SID(BG)}))"
        "(XD;;CC;;;IU;(flag))S:(AU;SA;CC;;;PU)");
    (void)state;
    security_sd_visit(sd.data, sd.size, &v);
    assert_string_equal(seen.sids,
                        "-S-1-5-7 +S-1-3-4 +S-1-5-32-544 +S-1-1-0 +S-1-5-32-545 +S-1-5-32-546 -S-1-5-4 ");
    assert_string_equal(seen.tests, "WIN://SYSAPPID=a WIN://SYSAPPID=b n=16 @User.e=? t=? flag=? ");
    security_sd_visit(sd.data, sd.size - 1, &v);
    free(sd.data);
}

struct trial {
    struct lab_sd sds[5];
    unsigned tokens;
    unsigned granted[5];
    unsigned packaged; /* AppContainers that pass the last */
    char descriptions[4096];
};

static bool try_token(void *ctx, const struct security_token_spec *spec, const char *description)
{
    struct trial *trial = ctx;
    struct security_token *t;
    assert_int_equal(security_token_create(spec, &t), 0);
    for (unsigned i = 0; i < 5; i++) {
        bool granted =
            security_access_check(trial->sds[i].data, trial->sds[i].size, security_token_blob(t), 1);
        trial->granted[i] += granted;
        trial->packaged += granted && i == 4 && spec->package != NULL;
    }
    trial->tokens++;
    sprintf(trial->descriptions + strlen(trial->descriptions), "%s\n", description);
    security_token_destroy(t);
    return true;
}

static void candidates_show_each_outcome(void **state)
{
    static const char *const sddl[] = {
        "D:(A;;CC;;;S-1-5-80-2940520708-3855866260-481812779-327648279-1710889582)",
        "O:LSD:(A;;CC;;;S-1-15-3-1)(A;;CC;;;S-1-15-3-2)(A;;CC;;;WD)(A;;CC;;;AN)",
        "D:(A;;CC;;;S-1-5-21-1-2-3-1001)(A;;CC;;;AC)",
        "D:(XA;;CC;;;WD;(WIN://SYSAPPID Contains \"app\"))",
        "D:(XA;;CC;;;WD;(WIN://SYSAPPID Contains \"app\"))(A;;CC;;;S-1-15-3-1)",
    };
    struct trial trial = {0};
    struct security_candidates *c;
    const SID *const *sids;
    (void)state;
    assert_int_equal(security_candidates_create(&c), 0);
    for (unsigned i = 0; i < 5; i++) {
        trial.sds[i] = lab_sd(sddl[i]);
        assert_int_equal(security_candidates_add(c, trial.sds[i].data, trial.sds[i].size), 0);
        assert_int_equal(security_candidates_add(c, trial.sds[i].data, trial.sds[i].size), 0);
    }
    assert_int_equal(security_candidates_sids(c, &sids), 7);
    assert_int_equal(security_candidates_tokens(c, try_token, &trial), 0);
    for (unsigned i = 0; i < 5; i++) {
        assert_in_range(trial.granted[i], 1, trial.tokens - 1);
        free(trial.sds[i].data);
    }
    assert_int_equal(trial.packaged,
                     2); /* MATCH-28 and MATCH-17 of one token: the ordinary user's, the named one's */
    assert_string_equal(trial.descriptions,
                        "an ordinary user\n"
                        "the account NT AUTHORITY\\SYSTEM\n"
                        "the account NT AUTHORITY\\LOCAL SERVICE\n"
                        "the account NT AUTHORITY\\NETWORK SERVICE\n"
                        "the service NT SERVICE\\Dhcp\n"
                        "the account NT AUTHORITY\\ANONYMOUS LOGON\n"
                        "the account S-1-5-21-1-2-3-1001\n"
                        "an AppContainer\n"
                        "an AppContainer with internetClient\n"
                        "an AppContainer with internetClientServer\n"
                        "an AppContainer with all capabilities named\n"
                        "a program with WIN://SYSAPPID app\n"
                        "a program with WIN://SYSAPPID app, an AppContainer\n"
                        "a program with WIN://SYSAPPID app, an AppContainer with all capabilities named\n"
                        "an AppContainer of S-1-5-21-1-2-3-1001\n"
                        "an AppContainer with internetClient of S-1-5-21-1-2-3-1001\n"
                        "an AppContainer with internetClientServer of S-1-5-21-1-2-3-1001\n"
                        "an AppContainer with all capabilities named of S-1-5-21-1-2-3-1001\n"
                        "a program with WIN://SYSAPPID app of S-1-5-21-1-2-3-1001\n"
                        "a program with WIN://SYSAPPID app, an AppContainer of S-1-5-21-1-2-3-1001\n"
                        "a program with WIN://SYSAPPID app, an AppContainer with all capabilities named of "
                        "S-1-5-21-1-2-3-1001\n");
    security_candidates_destroy(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_check_agrees_with_an_independent_one),
        cmocka_unit_test(a_visit_tells_sids_and_tests),
        cmocka_unit_test(candidates_show_each_outcome),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
