/* The public C interface of pyactx: what a compiled activation looks like.
 *
 * An extension module offers an activation by exporting a PyCapsule that is named PYACTX_KERNEL_CAPSULE and holds a
 * pointer to a pyactx_kernel of static lifetime.  pyactx.Activation.from_kernel(name, capsule) makes an activation of
 * it; pyactx's own activations come through the same door.
 *
 * Every function works on contiguous blocks of n elements.  It
 *   - calls nothing of Python, allocates nothing and reports no error,
 *   - allows an output to be one of its inputs (the same address, never a partial overlap),
 *   - assumes the alignment of its element type and no more,
 *   - gives each element the same bits wherever in the block it lies.
 * The driver around it takes care of dtypes, strides, broadcasting, threads and the floating-point environment.
 */
#ifndef PYACTX_H
#define PYACTX_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#define PYACTX_KERNEL_CAPSULE "pyactx.kernel.v1"

/* A parameter with this default has to be given in every call. */
#define PYACTX_REQUIRED NAN

/* x -> y: a value or a derivative. */
typedef void pyactx_map_f32(const float *x, float *y, ptrdiff_t n, const float *params);
typedef void pyactx_map_f64(const double *x, double *y, ptrdiff_t n, const double *params);

/* (grad, x) -> y: the incoming gradient times a derivative; x is the input or, where the name says so, the output. */
typedef void pyactx_product_f32(const float *grad, const float *x, float *y, ptrdiff_t n, const float *params);
typedef void pyactx_product_f64(const double *grad, const double *x, double *y, ptrdiff_t n, const double *params);

/* x -> (y, d): the value and the derivative. */
typedef void pyactx_pair_f32(const float *x, float *y, float *d, ptrdiff_t n, const float *params);
typedef void pyactx_pair_f64(const double *x, double *y, double *d, ptrdiff_t n, const double *params);

/* The operations of an activation for one dtype.  What is NULL beyond `forward` is made from the others where that is
 * possible (backward from derivative, value_and_derivative from forward and derivative) and not offered otherwise. */
typedef struct {
    pyactx_map_f32 *forward;
    pyactx_map_f32 *derivative;
    pyactx_product_f32 *backward;
    pyactx_product_f32 *backward_from_output;
    pyactx_pair_f32 *value_and_derivative;
    pyactx_product_f32 *const *parameter_gradients; /* one per parameter: grad times df/dparameter at x; of a row, summed */
} pyactx_operations_f32;

typedef struct {
    pyactx_map_f64 *forward;
    pyactx_map_f64 *derivative;
    pyactx_product_f64 *backward;
    pyactx_product_f64 *backward_from_output;
    pyactx_pair_f64 *value_and_derivative;
    pyactx_product_f64 *const *parameter_gradients;
} pyactx_operations_f64;

/* A gated activation: (gate, up) -> y is of the type pyactx_product. */
typedef void pyactx_gated_backward_f32(const float *grad, const float *gate, const float *up, float *gate_gradient,
                                       float *up_gradient, ptrdiff_t n, const float *params);
typedef void pyactx_gated_backward_f64(const double *grad, const double *gate, const double *up,
                                       double *gate_gradient, double *up_gradient, ptrdiff_t n, const double *params);
typedef void pyactx_gated_gradient_f32(const float *grad, const float *gate, const float *up, float *y, ptrdiff_t n,
                                       const float *params);
typedef void pyactx_gated_gradient_f64(const double *grad, const double *gate, const double *up, double *y,
                                       ptrdiff_t n, const double *params);

typedef struct {
    pyactx_product_f32 *forward;
    pyactx_gated_backward_f32 *backward;
    pyactx_gated_gradient_f32 *const *parameter_gradients;
} pyactx_gated_f32;

typedef struct {
    pyactx_product_f64 *forward;
    pyactx_gated_backward_f64 *backward;
    pyactx_gated_gradient_f64 *const *parameter_gradients;
} pyactx_gated_f64;

/* Rows, in memory: element j of row r is first[r * row_step + j * step], a number of row r is first[r * row_step]. */
typedef struct {
    void *first;
    ptrdiff_t row_step, step; /* in elements; the step of numbers is 1 */
} pyactx_row_array;

/* Any number of rows at once, of n elements: the inputs, then the output.  Either all steps are 1, or all row_steps. */
typedef void pyactx_rows_f32(const pyactx_row_array *arrays, ptrdiff_t rows, ptrdiff_t n, const float *params);
typedef void pyactx_rows_f64(const pyactx_row_array *arrays, ptrdiff_t rows, ptrdiff_t n, const double *params);

typedef struct {
    pyactx_rows_f32 *forward;
    pyactx_rows_f32 *backward;
    pyactx_rows_f32 *backward_from_output;
    pyactx_rows_f32 *const *parameter_gradients;
} pyactx_row_operations_f32;

typedef struct {
    pyactx_rows_f64 *forward;
    pyactx_rows_f64 *backward;
    pyactx_rows_f64 *backward_from_output;
    pyactx_rows_f64 *const *parameter_gradients;
} pyactx_row_operations_f64;

/* What a block is. */
enum {
    PYACTX_ELEMENTWISE = 0, /* any number of independent elements */
    PYACTX_AXISWISE = 1,    /* one whole row, mapped to a row of the same length; there is no derivative */
    PYACTX_REDUCTION = 2,   /* one whole row, mapped to a number: y[0], and in `backward` grad[0] */
    PYACTX_GATED = 3        /* independent elements of two arrays; the operations are those of `gated` */
};

/* The short rows of an axis-wise kernel or a reduction that its `each` operations take at once. */
enum { PYACTX_ROWS = 16 };

typedef struct {
    uint32_t struct_size; /* sizeof(pyactx_kernel): later versions only add fields at the end */
    uint32_t kind;
    uint32_t cost;        /* of an element, relative to copying it: decides from which size on threads pay; 0: unknown */
    uint32_t n_params;
    const char *name;
    const char *const *parameter_names; /* n_params of them, as are the defaults */
    const double *parameter_defaults;
    pyactx_operations_f32 f32;          /* params[k] is the value of parameter k */
    pyactx_operations_f64 f64;
    /* Elements: params[k * n + i] is the value of parameter k for element i.  Rows: PYACTX_ROWS of them at once, in double,
     * element j of row r at [j * PYACTX_ROWS + r], a number of row r at [r].  NULLs are allowed. */
    pyactx_operations_f32 each_f32;
    pyactx_operations_f64 each_f64;
    pyactx_gated_f32 gated_f32;         /* of PYACTX_GATED, in place of f32 and so on */
    pyactx_gated_f64 gated_f64;
    pyactx_gated_f32 each_gated_f32;
    pyactx_gated_f64 each_gated_f64;
    pyactx_row_operations_f32 rows_f32; /* of PYACTX_AXISWISE and PYACTX_REDUCTION; what is NULL is done row by row */
    pyactx_row_operations_f64 rows_f64;
} pyactx_kernel;

#endif
