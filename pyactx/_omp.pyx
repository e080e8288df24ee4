# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: freethreading_compatible=True
"""Large arrays over OpenMP threads: the only module that is linked with OpenMP, imported when first needed."""

from cpython.pycapsule cimport PyCapsule_New
from cython.parallel cimport prange

from pyactx._driver cimport compute_units, environment, environment_enter, environment_leave, parallel_run, work

cdef extern from *:
    """
    #ifdef _OPENMP
    #include <omp.h>
    #else
    static int omp_get_max_threads(void) { return 1; }
    static int omp_in_parallel(void) { return 0; }
    #endif
    #if !defined(_OPENMP) || _OPENMP < 200805 /* OpenMP 2.0, which is what MSVC has */
    static int omp_get_thread_limit(void) { return 1 << 15; }
    #endif

    /* Make typed memoryviews of the arrays of a call, of which the caller keeps hold: without the objects that would do
     * so, and without the GIL for them, which takes as long as relu of 65 536 elements. */
    #define VIEW(view, work, k)                                                                                 \
        ((view).data = (char *)(work)->arrays[k], (view).shape[0] = (work)->n,                                   \
         (view).strides[0] = (work)->is_double ? sizeof(double) : sizeof(float))
    #define VIEWS(a, b, c, d, e, work)                                                                          \
        (VIEW(a, work, 0), VIEW(b, work, 1), VIEW(c, work, 2), VIEW(d, work, 3), VIEW(e, work, 4))
    """
    int omp_get_max_threads() noexcept nogil
    int omp_get_thread_limit() noexcept nogil
    int omp_in_parallel() noexcept nogil
    void views_of_float "VIEWS"(float[::1], float[::1], float[::1], float[::1], float[::1], const work *) noexcept nogil
    void views_of_double "VIEWS"(double[::1], double[::1], double[::1], double[::1], double[::1],
                                 const work *) noexcept nogil

ctypedef fused real:
    float
    double

# What the runtime would use when this module was imported.  A lower figure later on is a limit that somebody set in
# the calling thread (threadpoolctl does), and is kept; our own default has already taken the environment into account.
cdef int threads_at_import = omp_get_max_threads()


cdef int allowed(int threads) noexcept nogil:
    """Return how many of the threads wished for this caller may use."""
    if omp_in_parallel():
        return 1
    if omp_get_max_threads() < threads_at_import:
        threads = min(threads, omp_get_max_threads())
    return min(threads, omp_get_thread_limit())


cdef void compute(const work *part, ptrdiff_t start, ptrdiff_t stop) noexcept nogil:
    """Compute some units in the default floating-point environment, which a thread need not be in."""
    cdef environment saved = environment_enter()
    compute_units(part, start, stop)
    environment_leave(saved)


cdef void share(
    const work *whole,
    real[::1] first,   # inputs, then outputs, then none
    real[::1] second,
    real[::1] third,
    real[::1] fourth,
    real[::1] fifth,
    int threads,
) noexcept nogil:
    """Compute every unit of the arrays, each thread a contiguous run of them."""
    cdef ptrdiff_t units = whole.units
    cdef ptrdiff_t share_size = (units + threads - 1) // threads
    cdef work part = whole[0]
    cdef int t
    part.arrays[0] = &first[0]
    part.arrays[1] = &second[0]
    part.arrays[2] = &third[0]
    part.arrays[3] = &fourth[0]
    part.arrays[4] = &fifth[0]
    for t in prange(threads, schedule="static", num_threads=threads):
        compute(&part, min(t * share_size, units), min((t + 1) * share_size, units))


cdef void run(const work *whole, int threads) noexcept nogil:
    cdef float[::1] f1, f2, f3, f4, f5
    cdef double[::1] d1, d2, d3, d4, d5
    threads = allowed(threads)
    if threads < 2:
        compute_units(whole, 0, whole.units)
    elif whole.is_double:
        views_of_double(d1, d2, d3, d4, d5, whole)
        share(whole, d1, d2, d3, d4, d5, threads)
    else:
        views_of_float(f1, f2, f3, f4, f5, whole)
        share(whole, f1, f2, f3, f4, f5, threads)


run_capsule = PyCapsule_New(<void *> <parallel_run> run, "pyactx.parallel_run", NULL)
