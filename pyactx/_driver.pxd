"""What _driver and _omp share: src/work.h."""

from libc.stddef cimport ptrdiff_t

from pyactx cimport pyactx_kernel


cdef extern from "work.h" nogil:
    enum operation:
        FORWARD
        DERIVATIVE
        BACKWARD
        BACKWARD_FROM_OUTPUT
        VALUE_AND_DERIVATIVE
        PARAMETER_GRADIENT

    enum:
        MAX_ARRAYS
        MAX_PARAMETERS
        BLOCK
        BUFFER

    ctypedef struct work:
        const pyactx_kernel *kernel
        operation operation
        int parameter
        bint is_double
        bint each
        const void *params
        void *arrays[3]
        ptrdiff_t n
        ptrdiff_t unit

    int operation_inputs(operation) noexcept
    int operation_outputs(operation) noexcept
    bint has_each(const pyactx_kernel *, operation) noexcept
    bint has_operation(const pyactx_kernel *, operation) noexcept
    void compute_units(const work *, ptrdiff_t start, ptrdiff_t stop) noexcept


ctypedef void (*parallel_run)(const work *, int threads) noexcept nogil
