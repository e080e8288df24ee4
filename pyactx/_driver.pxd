"""What _driver and _omp share: src/work.h, and the floating-point environment that its functions run in."""

from libc.stddef cimport ptrdiff_t

from pyactx cimport pyactx_kernel


cdef extern from "floating_point.h" nogil:
    ctypedef struct environment:
        pass
    environment environment_enter() noexcept
    void environment_leave(environment) noexcept


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
        void *arrays[5]
        ptrdiff_t beside
        ptrdiff_t steps[5]
        ptrdiff_t n
        ptrdiff_t unit
        ptrdiff_t units

    bint has_rows(const pyactx_kernel *) noexcept
    int operation_inputs(const pyactx_kernel *, operation) noexcept
    int operation_outputs(const pyactx_kernel *, operation) noexcept
    bint is_number(const pyactx_kernel *, operation, int) noexcept
    bint has_rows_beside(const pyactx_kernel *, operation, int parameter) noexcept
    bint has_each(const pyactx_kernel *, operation) noexcept
    bint needs_each(const pyactx_kernel *, operation) noexcept
    bint has_operation(const pyactx_kernel *, operation) noexcept
    void compute_units(const work *, ptrdiff_t start, ptrdiff_t stop) noexcept


ctypedef void (*parallel_run)(const work *, int threads) noexcept nogil
