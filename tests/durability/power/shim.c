/* Loaded before the C library of a server, this writes down what the server does to its database files and what it
 * says on its sockets, in one order, as `power/trace.rs` reads it.
 *
 * A write is noted when it is done. A sync is noted twice: when it begins, because only what was written by then is
 * covered, and when it has ended, because only then is it certain. The lock is not held while a sync runs, so answers
 * that are sent meanwhile stand between the two. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum kind { CREATE = 1, WRITE, TRUNCATE, SYNC_BEGIN, SYNC_END, UNLINK, SAY };

struct head {
    uint64_t wall_ns;
    uint64_t offset;
    uint32_t kind;
    uint32_t fd;
    uint32_t path_length;
    uint32_t data_length;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int trace = -1;
static const char *root;
static size_t root_length;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("A2AD_TRACE_FILE");
    root = getenv("A2AD_TRACE_ROOT");
    if (path == NULL || root == NULL) return;
    root_length = strlen(root);
    trace = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static void put(const void *data, size_t length) {
    const char *at = data;
    while (length > 0) {
        long done = syscall(SYS_write, trace, at, length);
        if (done <= 0) abort();
        at += done;
        length -= (size_t)done;
    }
}

/* The caller holds the lock. */
static void note(enum kind kind, int fd, const char *path, uint64_t offset, const struct iovec *data, int count) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    struct head head = {
        .wall_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec,
        .offset = offset,
        .kind = kind,
        .fd = (uint32_t)fd,
        .path_length = path ? (uint32_t)strlen(path) : 0,
    };
    for (int i = 0; i < count; i++) head.data_length += (uint32_t)data[i].iov_len;
    put(&head, sizeof head);
    if (path) put(path, head.path_length);
    for (int i = 0; i < count; i++) put(data[i].iov_base, data[i].iov_len);
}

static int is_ours(const char *path) {
    return trace >= 0 && path != NULL && strncmp(path, root, root_length) == 0;
}

/* The path behind a descriptor, if it is a file or folder of the database. */
static int path_of(int fd, char *path, size_t size) {
    if (trace < 0) return 0;
    struct stat stat;
    if (fstat(fd, &stat) != 0 || !(S_ISREG(stat.st_mode) || S_ISDIR(stat.st_mode))) return 0;
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, size - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return is_ours(path);
}

static int is_socket(int fd) {
    struct stat stat;
    return trace >= 0 && fstat(fd, &stat) == 0 && S_ISSOCK(stat.st_mode);
}

#define REAL(name) __typeof__(&name) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

static ssize_t noted_write(int fd, const char *path, const void *data, ssize_t done, off_t offset) {
    int kept = errno;
    if (done > 0) {
        struct iovec part = {.iov_base = (void *)data, .iov_len = (size_t)done};
        note(WRITE, fd, path, (uint64_t)offset, &part, 1);
    }
    errno = kept;
    return done;
}

/* Notes as much as the socket took. */
static ssize_t said(int fd, const struct iovec *parts, int count, ssize_t done) {
    int kept = errno;
    size_t left = done > 0 ? (size_t)done : 0;
    for (int i = 0; i < count && left > 0; i++) {
        struct iovec part = parts[i];
        if (part.iov_len > left) part.iov_len = left;
        note(SAY, fd, NULL, 0, &part, 1);
        left -= part.iov_len;
    }
    errno = kept;
    return done;
}

ssize_t write(int fd, const void *data, size_t length) {
    REAL(write);
    char path[4096];
    if (path_of(fd, path, sizeof path)) {
        pthread_mutex_lock(&lock);
        off_t offset = lseek(fd, 0, SEEK_CUR);
        ssize_t done = noted_write(fd, path, data, real(fd, data, length), offset);
        pthread_mutex_unlock(&lock);
        return done;
    }
    if (!is_socket(fd)) return real(fd, data, length);
    struct iovec part = {.iov_base = (void *)data, .iov_len = length};
    pthread_mutex_lock(&lock);
    ssize_t done = said(fd, &part, 1, real(fd, data, length));
    pthread_mutex_unlock(&lock);
    return done;
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) {
    REAL(pwrite);
    char path[4096];
    if (!path_of(fd, path, sizeof path)) return real(fd, data, length, offset);
    pthread_mutex_lock(&lock);
    ssize_t done = noted_write(fd, path, data, real(fd, data, length, offset), offset);
    pthread_mutex_unlock(&lock);
    return done;
}

ssize_t pwrite64(int fd, const void *data, size_t length, off64_t offset) {
    REAL(pwrite64);
    char path[4096];
    if (!path_of(fd, path, sizeof path)) return real(fd, data, length, offset);
    pthread_mutex_lock(&lock);
    ssize_t done = noted_write(fd, path, data, real(fd, data, length, offset), offset);
    pthread_mutex_unlock(&lock);
    return done;
}

ssize_t send(int fd, const void *data, size_t length, int flags) {
    REAL(send);
    if (trace < 0) return real(fd, data, length, flags);
    struct iovec part = {.iov_base = (void *)data, .iov_len = length};
    pthread_mutex_lock(&lock);
    ssize_t done = said(fd, &part, 1, real(fd, data, length, flags));
    pthread_mutex_unlock(&lock);
    return done;
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    REAL(writev);
    if (!is_socket(fd)) return real(fd, parts, count);
    pthread_mutex_lock(&lock);
    ssize_t done = said(fd, parts, count, real(fd, parts, count));
    pthread_mutex_unlock(&lock);
    return done;
}

static int synced(int fd, int (*real)(int)) {
    char path[4096];
    if (!path_of(fd, path, sizeof path)) return real(fd);
    pthread_mutex_lock(&lock);
    note(SYNC_BEGIN, fd, path, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    int done = real(fd);
    int kept = errno;
    if (done == 0) {
        pthread_mutex_lock(&lock);
        note(SYNC_END, fd, path, 0, NULL, 0);
        pthread_mutex_unlock(&lock);
    }
    errno = kept;
    return done;
}

int fsync(int fd) {
    REAL(fsync);
    return synced(fd, real);
}

int fdatasync(int fd) {
    REAL(fdatasync);
    return synced(fd, real);
}

static int truncated(int fd, off64_t length, int done) {
    char path[4096];
    int kept = errno;
    if (done == 0 && path_of(fd, path, sizeof path)) note(TRUNCATE, fd, path, (uint64_t)length, NULL, 0);
    errno = kept;
    return done;
}

int ftruncate(int fd, off_t length) {
    REAL(ftruncate);
    pthread_mutex_lock(&lock);
    int done = truncated(fd, length, real(fd, length));
    pthread_mutex_unlock(&lock);
    return done;
}

int ftruncate64(int fd, off64_t length) {
    REAL(ftruncate64);
    pthread_mutex_lock(&lock);
    int done = truncated(fd, length, real(fd, length));
    pthread_mutex_unlock(&lock);
    return done;
}

int unlink(const char *path) {
    REAL(unlink);
    if (!is_ours(path)) return real(path);
    pthread_mutex_lock(&lock);
    int done = real(path);
    int kept = errno;
    if (done == 0) note(UNLINK, -1, path, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    errno = kept;
    return done;
}

static int opened(int fd, const char *path, int flags) {
    if (fd < 0 || !(flags & O_CREAT) || !is_ours(path)) return fd;
    int kept = errno;
    pthread_mutex_lock(&lock);
    note(CREATE, fd, path, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    errno = kept;
    return fd;
}

static mode_t mode_of(int flags, va_list more) {
    return (flags & O_CREAT) ? (mode_t)va_arg(more, int) : 0;
}

int open(const char *path, int flags, ...) {
    REAL(open);
    va_list more;
    va_start(more, flags);
    mode_t mode = mode_of(flags, more);
    va_end(more);
    return opened(real(path, flags, mode), path, flags);
}

int open64(const char *path, int flags, ...) {
    REAL(open64);
    va_list more;
    va_start(more, flags);
    mode_t mode = mode_of(flags, more);
    va_end(more);
    return opened(real(path, flags, mode), path, flags);
}
