# cython: cdivision=True, freethreading_compatible=True
"""The kernel of swoosh, offered as a capsule.

Each function works on one contiguous block, without the GIL, and allows that y is x (all rules: pyactx.h).  float32 is
computed in double and rounded once, so it is right to little more than half a unit in the last place.
"""

from cpython.pycapsule cimport PyCapsule_New
from libc.math cimport exp, fabs, log1p
from libc.stddef cimport ptrdiff_t

cimport pyactx

ctypedef fused real:
    float
    double


# ---- One element

cdef inline double sigmoid(double z) noexcept nogil:
    cdef double e = exp(-fabs(z))  # never overflows
    return (e if z < 0 else 1) / (1 + e)


cdef inline double value(double x, double shift) noexcept nogil:
    # log(1 + exp(z)) = max(z, 0) + log1p(exp(-|z|)).  The linear terms are joined first: at +inf they would cancel.
    cdef double z = x - shift
    cdef double linear = 0.92 * x - shift if z > 0 else -0.08 * x
    return log1p(exp(-fabs(z))) + linear - 0.035


cdef inline double slope(double x, double shift) noexcept nogil:
    return sigmoid(x - shift) - 0.08


# ---- One block, for float and for double

cdef void forward(const real *x, real *y, ptrdiff_t n, const real *params) noexcept nogil:
    cdef ptrdiff_t i
    for i in range(n):
        y[i] = <real> value(x[i], params[0])


cdef void derivative(const real *x, real *y, ptrdiff_t n, const real *params) noexcept nogil:
    cdef ptrdiff_t i
    for i in range(n):
        y[i] = <real> slope(x[i], params[0])


cdef void shift_gradient(const real *grad, const real *x, real *y, ptrdiff_t n, const real *params) noexcept nogil:
    cdef ptrdiff_t i
    for i in range(n):
        y[i] = <real> (grad[i] * -sigmoid(<double> x[i] - params[0]))


# ---- The kernel.  What it does not set is NULL, and pyactx makes it of what there is, `backward` for example.

cdef const char *parameter_names[1]
cdef double parameter_defaults[1]
cdef pyactx.pyactx_product_f32 *gradients_f32[1]
cdef pyactx.pyactx_product_f64 *gradients_f64[1]
cdef pyactx.pyactx_kernel kernel

parameter_names[0] = "shift"
parameter_defaults[0] = 4.0
gradients_f32[0] = shift_gradient[float]
gradients_f64[0] = shift_gradient[double]

kernel.struct_size = sizeof(kernel)
kernel.kind = pyactx.PYACTX_ELEMENTWISE
kernel.cost = 30  # of an element, relative to copying it; tens for an exponential and a logarithm
kernel.name = "swoosh"
kernel.n_params = 1
kernel.parameter_names = parameter_names
kernel.parameter_defaults = parameter_defaults
kernel.f32.forward = forward[float]
kernel.f64.forward = forward[double]
kernel.f32.derivative = derivative[float]
kernel.f64.derivative = derivative[double]
kernel.f32.parameter_gradients = gradients_f32
kernel.f64.parameter_gradients = gradients_f64

swoosh_kernel = PyCapsule_New(&kernel, pyactx.PYACTX_KERNEL_CAPSULE, NULL)
