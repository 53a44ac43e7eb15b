/* faulty: a disk that fails when told to, between SQLite and the kernel (LD_PRELOAD), for files named journal.db*.
 * For tests alone. One byte of the file $FAULTY says how: 0 not, 1 writes fail, 2 syncs fail, 3 syncs take three
 * seconds, 4 the disk is full, 5 it is read-only. Any thread. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

enum { NONE, WRITES_FAIL, SYNCS_FAIL, SYNCS_SLOW, FULL, READ_ONLY };

static volatile unsigned char *how;

__attribute__((constructor)) static void begin(void)
{
    const char *name = getenv("FAULTY");
    int fd = name ? open(name, O_RDWR) : -1;
    if (fd >= 0) how = mmap(NULL, 1, PROT_READ, MAP_SHARED, fd, 0);
}

static int fault_of(int fd)
{
    char link[64], path[4096];
    if (how == NULL || *how == NONE) return NONE;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, sizeof path - 1);
    if (size < 0) return NONE;
    path[size] = '\0';
    return strstr(path, "journal.db") ? *how : NONE;
}

static int write_error(int fd)
{
    switch (fault_of(fd)) {
    case WRITES_FAIL:
        return EIO;
    case FULL:
        return ENOSPC;
    case READ_ONLY:
        return EROFS;
    default:
        return 0;
    }
}

static int sync_error(int fd)
{
    int fault = fault_of(fd);
    if (fault == SYNCS_SLOW) sleep(3);
    return fault == SYNCS_FAIL || fault == WRITES_FAIL ? EIO : 0;
}

#define NEXT(name) ((__typeof__(&(name)))dlsym(RTLD_NEXT, #name))

ssize_t pwrite(int fd, const void *data, size_t size, off_t at)
{
    int error = write_error(fd);
    return error ? (errno = error, -1) : NEXT(pwrite)(fd, data, size, at);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at)
{
    int error = write_error(fd);
    return error ? (errno = error, -1) : NEXT(pwrite64)(fd, data, size, at);
}

ssize_t write(int fd, const void *data, size_t size)
{
    int error = write_error(fd);
    return error ? (errno = error, -1) : NEXT(write)(fd, data, size);
}

int fsync(int fd)
{
    int error = sync_error(fd);
    return error ? (errno = error, -1) : NEXT(fsync)(fd);
}

int fdatasync(int fd)
{
    int error = sync_error(fd);
    return error ? (errno = error, -1) : NEXT(fdatasync)(fd);
}
