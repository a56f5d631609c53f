/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Generic tables: balanced (AVL) trees whose nodes the caller allocates: [RTL_BALANCED_LINKS][element]. The
 * table's BalancedRoot.RightChild is the root, whose Parent is BalancedRoot.
 *
 * Balance is the height of the right less that of the left subtree. The caller's lock guards everything.
 */
#include "nt/internal.h"

typedef RTL_BALANCED_LINKS node;

static void *element_of(node *n)
{
    return n + 1;
}

/* ---- the tree ----------------------------------------------------------------------------------------- */
static node *leftmost(node *n)
{
    while (n != NULL && n->LeftChild != NULL)
        n = n->LeftChild;
    return n;
}

static node *successor(PRTL_AVL_TABLE table, node *n)
{
    if (n->RightChild != NULL)
        return leftmost(n->RightChild);
    while (n->Parent != &table->BalancedRoot && n == n->Parent->RightChild)
        n = n->Parent;
    return n->Parent == &table->BalancedRoot ? NULL : n->Parent;
}

/* Puts `to` where `from` hangs. */
static void replace(node *from, node *to)
{
    if (from->Parent->LeftChild == from)
        from->Parent->LeftChild = to;
    else
        from->Parent->RightChild = to;
    if (to != NULL)
        to->Parent = from->Parent;
}

/* n's heavier child goes up: right (towards > 0) or left. Only links; balances are the caller's. */
static void rotate(node *n, bool right_child_up)
{
    node *up = right_child_up ? n->RightChild : n->LeftChild;
    node *inner = right_child_up ? up->LeftChild : up->RightChild;

    replace(n, up);
    if (right_child_up) {
        n->RightChild = inner;
        up->LeftChild = n;
    } else {
        n->LeftChild = inner;
        up->RightChild = n;
    }
    if (inner != NULL)
        inner->Parent = n;
    n->Parent = up;
}

/* n is out of balance (+-2). Returns what stands there now; *shorter: did the subtree lose height? */
static node *rebalance(node *n, bool *shorter)
{
    CHAR side = n->Balance > 0 ? 1 : -1;
    node *child = side > 0 ? n->RightChild : n->LeftChild;

    if (child->Balance == -side) { /* twice */
        node *grand = side > 0 ? child->LeftChild : child->RightChild;
        rotate(child, side < 0);
        rotate(n, side > 0);
        n->Balance = grand->Balance == side ? (CHAR)-side : 0;
        child->Balance = grand->Balance == -side ? side : 0;
        grand->Balance = 0;
        *shorter = true;
        return grand;
    }
    rotate(n, side > 0);
    *shorter = child->Balance != 0;
    n->Balance = child->Balance == 0 ? side : 0;
    child->Balance = child->Balance == 0 ? (CHAR)-side : 0;
    return child;
}

static void link_node(PRTL_AVL_TABLE table, node *n, node *parent, TABLE_SEARCH_RESULT where)
{
    n->LeftChild = n->RightChild = NULL;
    n->Balance = 0;
    if (where == TableEmptyTree) {
        n->Parent = &table->BalancedRoot;
        table->BalancedRoot.RightChild = n;
        table->DepthOfTree = 1;
        return;
    }
    n->Parent = parent;
    if (where == TableInsertAsLeft)
        parent->LeftChild = n;
    else
        parent->RightChild = n;
    for (node *at = n; at->Parent != &table->BalancedRoot; at = at->Parent) {
        node *up = at->Parent;
        up->Balance = (CHAR)(up->Balance + (up->RightChild == at ? 1 : -1));
        if (up->Balance == 0)
            return;
        if (up->Balance == 2 || up->Balance == -2) {
            bool shorter;
            rebalance(up, &shorter);
            return;
        }
    }
    table->DepthOfTree++;
}

static void unlink_node(PRTL_AVL_TABLE table, node *n)
{
    node *at;   /* below here a subtree lost height */
    bool right; /* on which side of it */

    if (n->LeftChild != NULL && n->RightChild != NULL) { /* its successor takes its place */
        node *next = leftmost(n->RightChild);
        if (next->Parent == n) {
            at = next;
            right = true;
        } else {
            at = next->Parent;
            right = false;
            replace(next, next->RightChild);
            next->RightChild = n->RightChild;
            next->RightChild->Parent = next;
        }
        next->LeftChild = n->LeftChild;
        next->LeftChild->Parent = next;
        next->Balance = n->Balance;
        replace(n, next);
    } else {
        at = n->Parent;
        right = at->RightChild == n;
        replace(n, n->LeftChild != NULL ? n->LeftChild : n->RightChild);
    }
    while (at != &table->BalancedRoot) {
        bool shorter = true;
        at->Balance = (CHAR)(at->Balance + (right ? -1 : 1));
        if (at->Balance == 1 || at->Balance == -1)
            return;
        if (at->Balance != 0)
            at = rebalance(at, &shorter);
        if (!shorter)
            return;
        right = at->Parent->RightChild == at;
        at = at->Parent;
    }
    table->DepthOfTree--;
}

static TABLE_SEARCH_RESULT find(PRTL_AVL_TABLE table, PVOID buffer, node **out)
{
    node *at = table->BalancedRoot.RightChild;

    *out = NULL;
    if (at == NULL)
        return TableEmptyTree;
    for (;;) {
        RTL_GENERIC_COMPARE_RESULTS order = table->CompareRoutine(table, buffer, element_of(at));
        node *next = order == GenericLessThan ? at->LeftChild : at->RightChild;
        *out = at;
        if (order == GenericEqual)
            return TableFoundNode;
        if (next == NULL)
            return order == GenericLessThan ? TableInsertAsLeft : TableInsertAsRight;
        at = next;
    }
}

/* ---- AVL tables --------------------------------------------------------------------------------------- */
VOID RtlInitializeGenericTableAvl(PRTL_AVL_TABLE Table, PRTL_AVL_COMPARE_ROUTINE CompareRoutine,
                                  PRTL_AVL_ALLOCATE_ROUTINE AllocateRoutine,
                                  PRTL_AVL_FREE_ROUTINE FreeRoutine, PVOID TableContext)
{
    memset(Table, 0, sizeof *Table);
    Table->BalancedRoot.Parent = &Table->BalancedRoot;
    Table->CompareRoutine = CompareRoutine;
    Table->AllocateRoutine = AllocateRoutine;
    Table->FreeRoutine = FreeRoutine;
    Table->TableContext = TableContext;
}

PVOID RtlInsertElementGenericTableFullAvl(PRTL_AVL_TABLE Table, PVOID Buffer, CLONG BufferSize,
                                          PBOOLEAN NewElement, PVOID NodeOrParent,
                                          TABLE_SEARCH_RESULT SearchResult)
{
    node *n = NodeOrParent;

    if (NewElement != NULL)
        *NewElement = FALSE;
    if (SearchResult == TableFoundNode)
        return element_of(n);
    if (BufferSize > 0xffffffffu - sizeof *n)
        return NULL;
    n = Table->AllocateRoutine(Table, (CLONG)(BufferSize + sizeof *n));
    if (n == NULL)
        return NULL;
    memset(n, 0, sizeof *n);
    memcpy(element_of(n), Buffer, BufferSize);
    link_node(Table, n, NodeOrParent, SearchResult);
    Table->NumberGenericTableElements++;
    Table->OrderedPointer = NULL; /* RtlGetElement counts anew */
    Table->WhichOrderedElement = 0;
    if (NewElement != NULL)
        *NewElement = TRUE;
    return element_of(n);
}

PVOID RtlInsertElementGenericTableAvl(PRTL_AVL_TABLE Table, PVOID Buffer, CLONG BufferSize,
                                      PBOOLEAN NewElement)
{
    node *at;
    TABLE_SEARCH_RESULT where = find(Table, Buffer, &at);

    return RtlInsertElementGenericTableFullAvl(Table, Buffer, BufferSize, NewElement, at, where);
}

VOID RtlDeleteElementGenericTableAvlEx(PRTL_AVL_TABLE Table, PVOID NodeOrParent)
{
    node *n = NodeOrParent;

    if (Table->RestartKey == n) /* an enumeration goes on behind it */
        Table->RestartKey = NULL;
    Table->DeleteCount++;
    Table->OrderedPointer = NULL;
    Table->WhichOrderedElement = 0;
    unlink_node(Table, n);
    Table->NumberGenericTableElements--;
    Table->FreeRoutine(Table, n);
}

BOOLEAN RtlDeleteElementGenericTableAvl(PRTL_AVL_TABLE Table, PVOID Buffer)
{
    node *at;

    if (find(Table, Buffer, &at) != TableFoundNode)
        return FALSE;
    RtlDeleteElementGenericTableAvlEx(Table, at);
    return TRUE;
}

PVOID RtlLookupElementGenericTableFullAvl(PRTL_AVL_TABLE Table, PVOID Buffer, PVOID *NodeOrParent,
                                          TABLE_SEARCH_RESULT *SearchResult)
{
    node *at;

    *SearchResult = find(Table, Buffer, &at);
    *NodeOrParent = at;
    return *SearchResult == TableFoundNode ? element_of(at) : NULL;
}

PVOID RtlLookupElementGenericTableAvl(PRTL_AVL_TABLE Table, PVOID Buffer)
{
    node *at;

    return find(Table, Buffer, &at) == TableFoundNode ? element_of(at) : NULL;
}

PVOID RtlLookupFirstMatchingElementGenericTableAvl(PRTL_AVL_TABLE Table, PVOID Buffer, PVOID *RestartKey)
{
    node *at = Table->BalancedRoot.RightChild, *first = NULL;

    while (at != NULL) { /* the leftmost of those that compare equal */
        RTL_GENERIC_COMPARE_RESULTS order = Table->CompareRoutine(Table, Buffer, element_of(at));
        if (order == GenericEqual)
            first = at;
        at = order == GenericGreaterThan ? at->RightChild : at->LeftChild;
    }
    *RestartKey = first;
    return first == NULL ? NULL : element_of(first);
}

PVOID RtlEnumerateGenericTableWithoutSplayingAvl(PRTL_AVL_TABLE Table, PVOID *RestartKey)
{
    node *next =
        *RestartKey == NULL ? leftmost(Table->BalancedRoot.RightChild) : successor(Table, *RestartKey);

    if (next == NULL)
        return NULL;
    *RestartKey = next;
    return element_of(next);
}

PVOID RtlEnumerateGenericTableAvl(PRTL_AVL_TABLE Table, BOOLEAN Restart)
{
    PVOID key = Restart ? NULL : Table->RestartKey;
    PVOID element = RtlEnumerateGenericTableWithoutSplayingAvl(Table, &key);

    Table->RestartKey = element == NULL ? NULL : key;
    return element;
}

PVOID RtlEnumerateGenericTableLikeADirectory(PRTL_AVL_TABLE Table, PRTL_AVL_MATCH_FUNCTION MatchFunction,
                                             PVOID MatchData, ULONG NextFlag, PVOID *RestartKey,
                                             PULONG DeleteCount, PVOID Buffer)
{
    node *at = *RestartKey;

    if (Table->BalancedRoot.RightChild == NULL)
        return NULL;
    if (at == NULL || *DeleteCount != Table->DeleteCount) { /* the node may be gone: by its value */
        TABLE_SEARCH_RESULT where = find(Table, Buffer, &at);
        if (where == TableFoundNode)
            at = NextFlag ? successor(Table, at) : at;
        else if (where == TableInsertAsRight)
            at = successor(Table, at);
    } else if (NextFlag) {
        at = successor(Table, at);
    }
    for (; at != NULL; at = successor(Table, at)) {
        NTSTATUS status =
            MatchFunction == NULL ? STATUS_SUCCESS : MatchFunction(Table, element_of(at), MatchData);
        if (status == STATUS_SUCCESS) {
            *RestartKey = at;
            *DeleteCount = Table->DeleteCount;
            return element_of(at);
        }
        if (status == STATUS_NO_MORE_MATCHES)
            break;
    }
    return NULL;
}

PVOID RtlGetElementGenericTableAvl(PRTL_AVL_TABLE Table, ULONG I)
{
    node *at;
    ULONG i;

    if (I >= Table->NumberGenericTableElements)
        return NULL;
    if (Table->OrderedPointer != NULL && Table->WhichOrderedElement <= I) {
        at = Table->OrderedPointer;
        i = Table->WhichOrderedElement;
    } else {
        at = leftmost(Table->BalancedRoot.RightChild);
        i = 0;
    }
    for (; i < I; i++)
        at = successor(Table, at);
    Table->OrderedPointer = at;
    Table->WhichOrderedElement = I;
    return element_of(at);
}

ULONG RtlNumberGenericTableElementsAvl(PRTL_AVL_TABLE Table)
{
    return Table->NumberGenericTableElements;
}

BOOLEAN RtlIsGenericTableEmptyAvl(PRTL_AVL_TABLE Table)
{
    return Table->NumberGenericTableElements == 0;
}
