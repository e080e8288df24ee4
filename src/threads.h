/* How many threads a call may use, and whether this process may use any. */
#ifndef PYACTX_THREADS_H
#define PYACTX_THREADS_H

#if !defined(_WIN32) && !defined(__EMSCRIPTEN__)
#include <pthread.h>
#endif

/* ---- Fork: the threads of an OpenMP runtime do not survive it, and waiting for them hangs.  A forked child
 * computes serially from then on. -------------------------------------------------------------------------------- */

static volatile int process_is_forked_child = 0;

#if !defined(_WIN32) && !defined(__EMSCRIPTEN__)
static void mark_forked_child(void)
{
    process_is_forked_child = 1;
}

static int watch_fork(void)
{
    return pthread_atfork(NULL, NULL, mark_forked_child);
}
#else
static int watch_fork(void)
{
    return 0;
}
#endif

/* ---- Threads -------------------------------------------------------------------------------------------------- */

#if defined(_MSC_VER)
#define THREAD_LOCAL __declspec(thread)
#else
#define THREAD_LOCAL _Thread_local
#endif

static volatile int process_thread_limit = 1;
static THREAD_LOCAL int caller_thread_limit = 0; /* 0: the limit of the process */

/* Parallel calls in progress: callers in several threads share the cores instead of multiplying them. */
static volatile long parallel_calls = 0;

#if defined(_MSC_VER)
#include <intrin.h>
static long parallel_call_enter(void) { return _InterlockedIncrement(&parallel_calls); }
static void parallel_call_leave(void) { _InterlockedDecrement(&parallel_calls); }
#else
static long parallel_call_enter(void) { return __atomic_add_fetch(&parallel_calls, 1, __ATOMIC_RELAXED); }
static void parallel_call_leave(void) { __atomic_sub_fetch(&parallel_calls, 1, __ATOMIC_RELAXED); }
#endif

static int thread_limit(void)
{
    return process_is_forked_child ? 1 : caller_thread_limit ? caller_thread_limit : process_thread_limit;
}

#endif
