/* pages: zeroed memory straight from the kernel, for what may never be used as far as it reaches.
 * What is not touched takes none, and all of it is gone when it is given back. Of the C library's heap neither holds:
 * once blocks of some size were freed it takes new ones of that size from the heap, where it zeroes, and so touches,
 * every byte; and what is freed there stays with the process. Any thread; never in the way of a packet,
 * but for what a history lets go of once a lap. */
#ifndef TR_PAGES_H
#define TR_PAGES_H

#include <stddef.h>

void *tr__pages_new(size_t size); /* NULL: no memory, or size 0 */
void tr__pages_free(void *pages, size_t size);
/* Pages that lie wholly within take no memory until they are touched again, and are zero then. A system call. */
void tr__pages_forget(void *at, size_t size);

#endif
