/* recorder: writes down what goes to the disk, in order, so that a test can lose what was not synced (LD_PRELOAD).
 * For tests alone. Files named journal.db*; to the file $RECORD go, for each call: a word, the file's suffix, offset,
 * size and, of a write, the bytes. `A` is a line that the process wrote to its standard output. Any thread. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#define NEXT(name) ((__typeof__(&(name)))dlsym(RTLD_NEXT, #name))

struct entry {
    char word; /* W write, S sync, T truncate, U unlink, A acknowledged */
    char file; /* d the database, w its log, 0 neither */
    char pad[6];
    int64_t at;
    int64_t size;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int record = -1;

__attribute__((constructor)) static void begin(void)
{
    const char *name = getenv("RECORD");
    if (name) record = open(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static char file_of(const char *path)
{
    size_t size = strlen(path);
    if (!strstr(path, "journal.db") || strstr(path, "-shm")) return 0;
    return size > 4 && !strcmp(path + size - 4, "-wal") ? 'w' : 'd';
}

static char file_of_fd(int fd)
{
    char link[64], path[4096];
    if (record < 0 || fd == record) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, sizeof path - 1);
    if (size < 0) return 0;
    path[size] = '\0';
    return file_of(path);
}

static void put(char word, char file, int64_t at, const void *data, int64_t size)
{
    struct entry entry = {.word = word, .file = file, .at = at, .size = size};
    pthread_mutex_lock(&lock);
    if (NEXT(write)(record, &entry, sizeof entry) < 0 || (data && NEXT(write)(record, data, (size_t)size) < 0)) abort();
    pthread_mutex_unlock(&lock);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at)
{
    char file = file_of_fd(fd);
    ssize_t done = NEXT(pwrite64)(fd, data, size, at);
    if (file && done > 0) put('W', file, at, data, done);
    return done;
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at)
{
    char file = file_of_fd(fd);
    ssize_t done = NEXT(pwrite)(fd, data, size, at);
    if (file && done > 0) put('W', file, at, data, done);
    return done;
}

ssize_t write(int fd, const void *data, size_t size)
{
    if (fd == 1 && record >= 0) /* noted before it is told: what nobody was told may be lost */
        put('A', 0, 0, data, (int64_t)size);
    return NEXT(write)(fd, data, size);
}

static int synced(int fd, int result)
{
    char file = file_of_fd(fd);
    if (file && result == 0) put('S', file, 0, NULL, 0);
    return result;
}

int fsync(int fd) { return synced(fd, NEXT(fsync)(fd)); }

int fdatasync(int fd) { return synced(fd, NEXT(fdatasync)(fd)); }

int ftruncate64(int fd, off64_t size)
{
    char file = file_of_fd(fd);
    int result = NEXT(ftruncate64)(fd, size);
    if (file && result == 0) put('T', file, size, NULL, 0);
    return result;
}

int ftruncate(int fd, off_t size)
{
    char file = file_of_fd(fd);
    int result = NEXT(ftruncate)(fd, size);
    if (file && result == 0) put('T', file, size, NULL, 0);
    return result;
}

int unlink(const char *path)
{
    char file = record < 0 ? 0 : file_of(path);
    int result = NEXT(unlink)(path);
    if (file && result == 0) put('U', file, 0, NULL, 0);
    return result;
}
