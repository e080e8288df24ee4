"""`cimport pyactx`: what a compiled activation is made of.  The rules are in include/pyactx.h."""

from libc.stddef cimport ptrdiff_t
from libc.stdint cimport uint32_t


cdef extern from "pyactx.h" nogil:
    const char *PYACTX_KERNEL_CAPSULE
    const double PYACTX_REQUIRED

    enum:
        PYACTX_ELEMENTWISE
        PYACTX_AXISWISE
        PYACTX_REDUCTION
        PYACTX_GATED

    enum:
        PYACTX_ROWS

    ctypedef void pyactx_map_f32(const float *x, float *y, ptrdiff_t n, const float *params) noexcept
    ctypedef void pyactx_map_f64(const double *x, double *y, ptrdiff_t n, const double *params) noexcept
    ctypedef void pyactx_product_f32(const float *grad, const float *x, float *y, ptrdiff_t n, const float *params) noexcept
    ctypedef void pyactx_product_f64(const double *grad, const double *x, double *y, ptrdiff_t n, const double *params) noexcept
    ctypedef void pyactx_pair_f32(const float *x, float *y, float *d, ptrdiff_t n, const float *params) noexcept
    ctypedef void pyactx_pair_f64(const double *x, double *y, double *d, ptrdiff_t n, const double *params) noexcept

    ctypedef struct pyactx_operations_f32:
        pyactx_map_f32 *forward
        pyactx_map_f32 *derivative
        pyactx_product_f32 *backward
        pyactx_product_f32 *backward_from_output
        pyactx_pair_f32 *value_and_derivative
        pyactx_product_f32 **parameter_gradients

    ctypedef struct pyactx_operations_f64:
        pyactx_map_f64 *forward
        pyactx_map_f64 *derivative
        pyactx_product_f64 *backward
        pyactx_product_f64 *backward_from_output
        pyactx_pair_f64 *value_and_derivative
        pyactx_product_f64 **parameter_gradients

    ctypedef void pyactx_gated_backward_f32(const float *grad, const float *gate, const float *up, float *gate_gradient, float *up_gradient, ptrdiff_t n, const float *params) noexcept
    ctypedef void pyactx_gated_backward_f64(const double *grad, const double *gate, const double *up, double *gate_gradient, double *up_gradient, ptrdiff_t n, const double *params) noexcept
    ctypedef void pyactx_gated_gradient_f32(const float *grad, const float *gate, const float *up, float *y, ptrdiff_t n, const float *params) noexcept
    ctypedef void pyactx_gated_gradient_f64(const double *grad, const double *gate, const double *up, double *y, ptrdiff_t n, const double *params) noexcept

    ctypedef struct pyactx_gated_f32:
        pyactx_product_f32 *forward
        pyactx_gated_backward_f32 *backward
        pyactx_gated_gradient_f32 **parameter_gradients

    ctypedef struct pyactx_gated_f64:
        pyactx_product_f64 *forward
        pyactx_gated_backward_f64 *backward
        pyactx_gated_gradient_f64 **parameter_gradients

    ctypedef struct pyactx_row_array:
        void *first
        ptrdiff_t row_step
        ptrdiff_t step

    ctypedef void pyactx_rows_f32(const pyactx_row_array *arrays, ptrdiff_t rows, ptrdiff_t n, const float *params) noexcept
    ctypedef void pyactx_rows_f64(const pyactx_row_array *arrays, ptrdiff_t rows, ptrdiff_t n, const double *params) noexcept

    ctypedef struct pyactx_row_operations_f32:
        pyactx_rows_f32 *forward
        pyactx_rows_f32 *backward
        pyactx_rows_f32 *backward_from_output
        pyactx_rows_f32 **parameter_gradients

    ctypedef struct pyactx_row_operations_f64:
        pyactx_rows_f64 *forward
        pyactx_rows_f64 *backward
        pyactx_rows_f64 *backward_from_output
        pyactx_rows_f64 **parameter_gradients

    ctypedef struct pyactx_kernel:
        uint32_t struct_size
        uint32_t kind
        uint32_t cost
        uint32_t n_params
        const char *name
        const char **parameter_names
        const double *parameter_defaults
        pyactx_operations_f32 f32
        pyactx_operations_f64 f64
        pyactx_operations_f32 each_f32
        pyactx_operations_f64 each_f64
        pyactx_gated_f32 gated_f32
        pyactx_gated_f64 gated_f64
        pyactx_gated_f32 each_gated_f32
        pyactx_gated_f64 each_gated_f64
        pyactx_row_operations_f32 rows_f32
        pyactx_row_operations_f64 rows_f64
