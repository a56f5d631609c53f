/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir cc: programs run, files read and written, lists and texts, the temporary folder.
 */
#include "loader/cc_inside.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define FILE_LIMIT (256u << 20)

int cc_complain(int status, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fputs("weir: cc: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return status;
}

/* ---- lists and texts ------------------------------------------------------------------------------------
 */

static bool list_room(struct cc_list *l)
{
    char **more;

    if (l->count + 1 < l->room)
        return true;
    more = realloc(l->items, (l->room * 2 + 16) * sizeof *more);
    if (more == NULL)
        return false;
    l->room = l->room * 2 + 16;
    l->items = more;
    return true;
}

void cc_add(struct cc_list *l, const char *format, ...)
{
    va_list args;
    char *word = NULL;

    va_start(args, format);
    if (l->failed || !list_room(l) || vasprintf(&word, format, args) < 0) {
        l->failed = true;
    } else {
        l->items[l->count++] = word;
        l->items[l->count] = NULL;
    }
    va_end(args);
}

void cc_add_all(struct cc_list *l, const struct cc_list *other)
{
    for (size_t i = 0; i < other->count; i++)
        cc_add(l, "%s", other->items[i]);
}

void cc_list_free(struct cc_list *l)
{
    for (size_t i = 0; i < l->count; i++)
        free(l->items[i]);
    free(l->items);
    *l = (struct cc_list){0};
}

void cc_text_add(struct cc_text *t, const char *bytes, size_t size)
{
    if (t->failed)
        return;
    if (t->size + size + 1 > t->room) {
        size_t room = (t->size + size + 1) * 2;
        char *more = realloc(t->bytes, room);

        if (more == NULL) {
            t->failed = true;
            return;
        }
        t->bytes = more;
        t->room = room;
    }
    memcpy(t->bytes + t->size, bytes, size);
    t->size += size;
    t->bytes[t->size] = '\0';
}

void cc_text_print(struct cc_text *t, const char *format, ...)
{
    va_list args;
    char *text = NULL;
    int size;

    va_start(args, format);
    size = vasprintf(&text, format, args);
    va_end(args);
    if (size < 0) {
        t->failed = true;
        return;
    }
    cc_text_add(t, text, (size_t)size);
    free(text);
}

void cc_text_free(struct cc_text *t)
{
    free(t->bytes);
    *t = (struct cc_text){0};
}

/* ---- programs -------------------------------------------------------------------------------------------
 */

static int redirect(const char *path, int fd)
{
    int file;

    if (path == NULL)
        return 0;
    file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0)
        return -1;
    return dup2(file, fd) < 0 ? -1 : 0;
}

static int wait_for(pid_t pid)
{
    int status;

    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    return status;
}

int cc_run(const struct cc_list *argv, const char *out, const char *err, bool verbose)
{
    pid_t pid;
    int status;

    if (argv->failed || argv->count == 0)
        return cc_complain(CC_OS_ERROR, "out of memory");
    if (verbose) {
        for (size_t i = 0; i < argv->count; i++)
            fprintf(stderr, "%s%s", i != 0 ? " " : "", argv->items[i]);
        fputc('\n', stderr);
    }
    fflush(NULL);
    pid = fork();
    if (pid == 0) {
        if (redirect(out, STDOUT_FILENO) != 0 || redirect(err, STDERR_FILENO) != 0)
            _exit(127);
        execvp(argv->items[0], argv->items);
        _exit(errno == ENOENT ? 126 : 127);
    }
    status = pid < 0 ? -1 : wait_for(pid);
    if (status != -1 && WIFEXITED(status) && WEXITSTATUS(status) < 126)
        return WEXITSTATUS(status);
    if (status != -1 && WIFSIGNALED(status))
        return cc_complain(CC_INTERNAL, "%s was ended by signal %d", argv->items[0], WTERMSIG(status));
    if (status != -1 && WEXITSTATUS(status) == 126)
        return cc_complain(CC_NO_INPUT, "%s: there is no such program", argv->items[0]);
    return cc_complain(CC_INTERNAL, "%s cannot be run", argv->items[0]);
}

bool cc_ask(const struct cc_list *argv, char *out, size_t size)
{
    int pipes[2], status;
    size_t done = 0;
    ssize_t got = 0;
    pid_t pid;

    if (argv->failed || argv->count == 0 || pipe2(pipes, O_CLOEXEC) != 0)
        return false;
    fflush(NULL);
    pid = fork();
    if (pid == 0) {
        if (dup2(pipes[1], STDOUT_FILENO) < 0 || redirect("/dev/null", STDERR_FILENO) != 0)
            _exit(127);
        execvp(argv->items[0], argv->items);
        _exit(127);
    }
    close(pipes[1]);
    while (pid > 0 &&
           ((got = read(pipes[0], out + done, size - 1 - done)) > 0 || (got < 0 && errno == EINTR)))
        done += got > 0 ? (size_t)got : 0;
    close(pipes[0]);
    out[done] = '\0';
    while (done != 0 && (out[done - 1] == '\n' || out[done - 1] == '\r'))
        out[--done] = '\0';
    if (pid < 0)
        return false;
    status = wait_for(pid);
    return status != -1 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* ---- files ----------------------------------------------------------------------------------------------
 */

int cc_read(const char *path, struct cc_text *out)
{
    char block[65536];
    ssize_t got;
    int fd = open(path, O_RDONLY | O_CLOEXEC), err = 0;

    if (fd < 0)
        return -errno;
    cc_text_add(out, "", 0);
    while ((got = read(fd, block, sizeof block)) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            err = -errno;
        else if (out->size + (size_t)got > FILE_LIMIT)
            err = -EFBIG;
        if (err != 0)
            break;
        cc_text_add(out, block, (size_t)got);
    }
    close(fd);
    return err != 0 ? err : out->failed ? -ENOMEM : 0;
}

int cc_write(const char *path, const char *bytes, size_t size)
{
    FILE *f = fopen(path, "we");
    int err = 0;

    if (f == NULL)
        return -errno;
    if (fwrite(bytes, 1, size, f) != size)
        err = -EIO;
    if (fclose(f) != 0)
        err = -EIO;
    return err;
}

int cc_folder_make(char path[PATH_MAX])
{
    const char *tmp = getenv("TMPDIR");

    if (tmp == NULL || tmp[0] == '\0' || strlen(tmp) > PATH_MAX / 2)
        tmp = "/tmp";
    snprintf(path, PATH_MAX, "%s/weir-cc-XXXXXX", tmp);
    if (mkdtemp(path) == NULL) {
        int err = errno;

        path[0] = '\0';
        return cc_complain(CC_OS_ERROR, "no temporary folder in %s: %s", tmp, strerror(err));
    }
    return CC_OK;
}

/* Never follows a link; one level of folders is all that is made. */
static void remove_in(const char *path, unsigned depth)
{
    DIR *d = opendir(path);
    struct dirent *e;

    if (d == NULL)
        return;
    while ((e = readdir(d)) != NULL) {
        char name[PATH_MAX];

        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
            snprintf(name, sizeof name, "%s/%s", path, e->d_name) >= (int)sizeof name)
            continue;
        if (unlink(name) != 0 && (errno == EISDIR || errno == EPERM) && depth < 8)
            remove_in(name, depth + 1);
    }
    closedir(d);
    (void)rmdir(path);
}

void cc_folder_remove(const char *path)
{
    if (path[0] != '\0')
        remove_in(path, 0);
}
