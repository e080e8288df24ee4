/* A bounded pool of memory for large results.
 *
 * What a large array costs is mostly the pages that the system hands out for it.  Here memory that nobody owns any more
 * waits for the next result of about its size.  Large blocks are lent to Linux meanwhile, which takes them when it is short
 * of memory.
 */
#ifndef PYACTX_POOL_H
#define PYACTX_POOL_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(_WIN32)
#define WIN32_LEAN_AND_MEAN
#define NOMINMAX
#include <windows.h>
#else
#include <pthread.h>
#include <sys/mman.h>
#endif

enum {
    POOL_SMALLEST = 1 << 17, /* bytes of a result that takes its memory from here: C libraries ask the system from there */
    POOL_BLOCKS = 128,       /* the most that wait */
    POOL_LENT = 1 << 25,     /* bytes of a block from which lending it to the system costs less than 1 % of filling it */
    LARGEST_PAGE = 1 << 16,  /* of any system */
    HUGE_PAGE = 1 << 21
};

/* ---- The system: whole pages, that begin a huge page where there are such, after a page that holds their size ------- */

static size_t *size_of_block(void *memory)
{
    return (size_t *)memory - 1;
}

#if defined(_WIN32)
static SRWLOCK pool_lock = SRWLOCK_INIT;

static void lock_pool(void)
{
    AcquireSRWLockExclusive(&pool_lock);
}

static void unlock_pool(void)
{
    ReleaseSRWLockExclusive(&pool_lock);
}

static char *map_block(size_t size)
{
    char *mapping = (char *)VirtualAlloc(NULL, LARGEST_PAGE + size, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
    return mapping == NULL ? NULL : mapping + LARGEST_PAGE;
}

static void unmap_block(char *memory)
{
    VirtualFree(memory - LARGEST_PAGE, 0, MEM_RELEASE);
}
#else
static pthread_mutex_t pool_lock = PTHREAD_MUTEX_INITIALIZER;

static void lock_pool(void)
{
    pthread_mutex_lock(&pool_lock);
}

static void unlock_pool(void)
{
    pthread_mutex_unlock(&pool_lock);
}

static char *map_block(size_t size)
{
#if defined(__linux__)
    const size_t spare = HUGE_PAGE;
#else
    const size_t spare = 0;
#endif
    const size_t mapped = LARGEST_PAGE + size + spare;
    char *mapping = (char *)mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
    if (mapping == MAP_FAILED)
        return NULL;
    char *memory = mapping + LARGEST_PAGE;
#if defined(__linux__)
    memory += -(uintptr_t)memory % HUGE_PAGE;
    const size_t before = memory - LARGEST_PAGE - mapping;
    if (before > 0)
        munmap(mapping, before);
    if (before < spare)
        munmap(memory + size, spare - before);
    madvise(memory, size, MADV_HUGEPAGE);
#endif
    return memory;
}

static void unmap_block(char *memory)
{
    munmap(memory - LARGEST_PAGE, LARGEST_PAGE + *size_of_block(memory));
}
#endif

static void lend_to_system(char *memory)
{
#if defined(__linux__) && defined(MADV_FREE)
    if (*size_of_block(memory) >= POOL_LENT)
        madvise(memory, *size_of_block(memory), MADV_FREE);
#else
    (void)memory;
#endif
}

/* ---- What waits ------------------------------------------------------------------------------------------------ */

static struct {
    char *memory;
    size_t size;
} waiting[POOL_BLOCKS]; /* the most recently used last */

static int blocks_waiting = 0;
static volatile size_t pool_idle = 0;  /* bytes that wait, */
static volatile size_t pool_limit = 0; /* and may wait */

/* Rounded up to one of eight sizes between a power of two and the next, so that sizes which differ little are the same. */
static size_t block_size(size_t size)
{
    size_t step = LARGEST_PAGE;
    while (size / step >= 16)
        step *= 2;
    return (size + step - 1) / step * step;
}

static char *remove_waiting(int i)
{
    char *memory = waiting[i].memory;
    pool_idle -= waiting[i].size;
    blocks_waiting--;
    memmove(&waiting[i], &waiting[i + 1], (blocks_waiting - i) * sizeof waiting[0]);
    return memory;
}

static void unmap_oldest_above(size_t bytes)
{
    while (pool_idle > bytes)
        unmap_block(remove_waiting(0));
}

static void set_pool_limit(size_t bytes)
{
    lock_pool();
    pool_limit = bytes;
    unmap_oldest_above(bytes);
    unlock_pool();
}

static void clear_pool(void)
{
    lock_pool();
    unmap_oldest_above(0);
    unlock_pool();
}

/* ---- Fork: memory that waits is left behind, for each process would have to copy its pages. -------------------------- */

#if !defined(_WIN32) && !defined(__EMSCRIPTEN__)
static void prepare_pool_to_fork(void)
{
    lock_pool();
    unmap_oldest_above(0);
}

static int watch_fork_of_pool(void)
{
    return pthread_atfork(prepare_pool_to_fork, unlock_pool, unlock_pool);
}
#else
static int watch_fork_of_pool(void)
{
    return 0;
}
#endif

/* ---- A PyDataMemAllocator ---------------------------------------------------------------------------------------- */

static void *pool_malloc(void *context, size_t size)
{
    const size_t rounded = block_size(size);
    char *memory = NULL;
    (void)context;
    lock_pool();
    for (int i = blocks_waiting - 1; i >= 0 && memory == NULL; i--)
        if (waiting[i].size == rounded)
            memory = remove_waiting(i);
    unlock_pool();
    if (memory != NULL)
        return memory;
    memory = map_block(rounded);
    if (memory == NULL) {
        clear_pool();
        memory = map_block(rounded);
    }
    if (memory != NULL)
        *size_of_block(memory) = rounded;
    return memory;
}

/* The size that NumPy tells is that of the array, which somebody may have changed: our own counts. */
static void pool_free(void *context, void *memory, size_t size)
{
    (void)context;
    if (memory == NULL)
        return;
    size = *size_of_block(memory);
    lend_to_system((char *)memory);
    lock_pool();
    if (size <= pool_limit) {
        unmap_oldest_above(pool_limit - size);
        if (blocks_waiting == POOL_BLOCKS)
            unmap_block(remove_waiting(0));
        waiting[blocks_waiting].memory = (char *)memory;
        waiting[blocks_waiting].size = size;
        blocks_waiting++;
        pool_idle += size;
        memory = NULL;
    }
    unlock_pool();
    if (memory != NULL)
        unmap_block((char *)memory);
}

static void *pool_calloc(void *context, size_t count, size_t size)
{
    if (size > 0 && count > SIZE_MAX / size)
        return NULL;
    void *memory = pool_malloc(context, count * size);
    return memory == NULL ? NULL : memset(memory, 0, count * size);
}

static void *pool_realloc(void *context, void *memory, size_t size)
{
    if (memory == NULL)
        return pool_malloc(context, size);
    const size_t former = *size_of_block(memory);
    if (former == block_size(size))
        return memory;
    void *moved = pool_malloc(context, size);
    if (moved != NULL) {
        memcpy(moved, memory, size < former ? size : former);
        pool_free(context, memory, former);
    }
    return moved;
}

#endif
