/* pages: see pages.h. Touches nothing but what it hands out. Any thread. */
#include "pages.h"

#include <stdint.h>
#include <stdlib.h>

#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#define WATCHED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WATCHED 1
#endif
#endif

/* The address sanitizer watches the ends of what comes from the heap, and of nothing else. */
#ifdef WATCHED

void *tr__pages_new(size_t size) { return size ? calloc(1, size) : NULL; }

void tr__pages_free(void *pages, size_t size)
{
    (void)size;
    free(pages);
}

void tr__pages_forget(void *at, size_t size) { (void)at, (void)size; }

#else

/* Of the machines we build for; where pages are larger the kernel refuses what is not aligned, and nothing is lost. */
#define PAGE 4096u

void *tr__pages_new(size_t size)
{
    void *pages = size ? mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) : MAP_FAILED;
    if (pages == MAP_FAILED) return NULL;
    /* Mappings side by side become one, and where the system makes huge pages of its own accord, the first byte of two
     * megabytes would take all of them. It may not know the word: then it has no huge pages either. */
    madvise(pages, size, MADV_NOHUGEPAGE);
    return pages;
}

void tr__pages_free(void *pages, size_t size)
{
    if (pages) munmap(pages, size);
}

void tr__pages_forget(void *at, size_t size)
{
    uintptr_t begin = ((uintptr_t)at + PAGE - 1) & ~(uintptr_t)(PAGE - 1),
              end = ((uintptr_t)at + size) & ~(uintptr_t)(PAGE - 1);
    if (begin < end) madvise((void *)begin, end - begin, MADV_DONTNEED);
}

#endif
