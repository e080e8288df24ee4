# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""Large arrays over OpenMP threads: the only module that is linked with OpenMP, imported when first needed."""

from cpython.pycapsule cimport PyCapsule_New
from cython.parallel cimport prange

from pyactx._driver cimport compute_units, is_number, operation_inputs, operation_outputs, parallel_run, work

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
    """
    int omp_get_max_threads() noexcept nogil
    int omp_get_thread_limit() noexcept nogil
    int omp_in_parallel() noexcept nogil

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


cdef void share(
    const work *whole,
    real[::1] first,   # inputs, then outputs; those that an operation does not have repeat the last
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
        compute_units(&part, min(t * share_size, units), min((t + 1) * share_size, units))


cdef void run(const work *whole, int threads) noexcept nogil:
    threads = allowed(threads)
    if threads < 2:
        compute_units(whole, 0, whole.units)
        return
    with gil:
        if whole.is_double:
            run_views[double](NULL, whole, threads)
        else:
            run_views[float](NULL, whole, threads)


cdef real[::1] view(const real *no_array, const work *whole, int k):
    """Return array k, or the last that there is."""
    cdef int last = operation_inputs(whole.kernel, whole.operation) + operation_outputs(
        whole.kernel, whole.operation) - 1
    k = min(k, last)
    return <real[:whole.units if is_number(whole.kernel, whole.operation, k) else whole.n]> <real *> whole.arrays[k]


cdef void run_views(const real *no_array, const work *whole, int threads) noexcept:
    cdef real[::1] first = view(no_array, whole, 0)
    cdef real[::1] second = view(no_array, whole, 1)
    cdef real[::1] third = view(no_array, whole, 2)
    cdef real[::1] fourth = view(no_array, whole, 3)
    cdef real[::1] fifth = view(no_array, whole, 4)
    with nogil:
        share(whole, first, second, third, fourth, fifth, threads)


run_capsule = PyCapsule_New(<void *> <parallel_run> run, "pyactx.parallel_run", NULL)
