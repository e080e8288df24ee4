/* One call: which operation of which kernel on which contiguous arrays, and how to compute a part of it.
 *
 * The arrays are cut into units: rows for an axis-wise kernel, blocks that fit the cache for an elementwise one.  Units
 * are independent, so that any number of threads may share them and give the same bits.
 */
#ifndef PYACTX_WORK_H
#define PYACTX_WORK_H

#include <string.h>

#include "floating_point.h"
#include "pyactx.h"

enum operation { FORWARD, DERIVATIVE, BACKWARD, BACKWARD_FROM_OUTPUT, VALUE_AND_DERIVATIVE, PARAMETER_GRADIENT };

enum {
    MAX_ARRAYS = 3,     /* inputs and outputs of an operation */
    MAX_PARAMETERS = 8,
    BLOCK = 4096,       /* elements of an elementwise unit */
    BUFFER = 512        /* elements of an intermediate result kept on the stack */
};

typedef struct {
    const pyactx_kernel *kernel;
    enum operation operation;
    int parameter;     /* of a PARAMETER_GRADIENT */
    int is_double;
    int each;          /* the parameters are arrays of one value per element */
    const void *params;
    void *arrays[MAX_ARRAYS]; /* inputs, then outputs */
    ptrdiff_t n;       /* elements of each array */
    ptrdiff_t unit;    /* elements of a unit; the last may be shorter */
} work;

/* The number of arrays an operation reads and writes. */
static inline int operation_inputs(enum operation operation)
{
    return operation == FORWARD || operation == DERIVATIVE || operation == VALUE_AND_DERIVATIVE ? 1 : 2;
}

static inline int operation_outputs(enum operation operation)
{
    return operation == VALUE_AND_DERIVATIVE ? 2 : 1;
}

/* Defines compute_<F>(work, arrays, n): the operation on one block, composed from others where the kernel lacks it. */
#define DEFINE_COMPUTE(T, F)                                                                                     \
    static void compute_##F(const work *w, T *const arrays[MAX_ARRAYS], ptrdiff_t n)                             \
    {                                                                                                            \
        const pyactx_operations_##F *op = w->each ? &w->kernel->each_##F : &w->kernel->F;                        \
        const T *params = (const T *)w->params;                                                                  \
        T *const a = arrays[0], *const b = arrays[1], *const c = arrays[2];                                      \
        T buffer[BUFFER];                                                                                        \
        switch (w->operation) {                                                                                  \
        case FORWARD:                                                                                            \
            op->forward(a, b, n, params);                                                                        \
            return;                                                                                              \
        case DERIVATIVE:                                                                                         \
            op->derivative(a, b, n, params);                                                                     \
            return;                                                                                              \
        case BACKWARD_FROM_OUTPUT:                                                                               \
            op->backward_from_output(a, b, c, n, params);                                                        \
            return;                                                                                              \
        case PARAMETER_GRADIENT:                                                                                 \
            op->parameter_gradients[w->parameter](a, b, c, n, params);                                           \
            return;                                                                                              \
        case BACKWARD:                                                                                           \
            if (op->backward) {                                                                                  \
                op->backward(a, b, c, n, params);                                                                \
                return;                                                                                          \
            }                                                                                                    \
            for (ptrdiff_t i = 0; i < n; i += BUFFER) {                                                          \
                const ptrdiff_t m = n - i < BUFFER ? n - i : BUFFER;                                             \
                op->derivative(b + i, buffer, m, params);                                                        \
                for (ptrdiff_t j = 0; j < m; j++)                                                                \
                    c[i + j] = a[i + j] * buffer[j];                                                             \
            }                                                                                                    \
            return;                                                                                              \
        case VALUE_AND_DERIVATIVE:                                                                               \
            if (op->value_and_derivative) {                                                                      \
                op->value_and_derivative(a, b, c, n, params);                                                    \
                return;                                                                                          \
            }                                                                                                    \
            for (ptrdiff_t i = 0; i < n; i += BUFFER) { /* either output may be the input */                     \
                const ptrdiff_t m = n - i < BUFFER ? n - i : BUFFER;                                             \
                op->derivative(a + i, buffer, m, params);                                                        \
                op->forward(a + i, b + i, m, params);                                                            \
                memcpy(c + i, buffer, m * sizeof(T));                                                            \
            }                                                                                                    \
            return;                                                                                              \
        }                                                                                                        \
    }

DEFINE_COMPUTE(float, f32)
DEFINE_COMPUTE(double, f64)

/* Whether a pair of tables has what an operation needs. */
static inline int tables_have(const pyactx_operations_f32 *s, const pyactx_operations_f64 *d, enum operation operation)
{
    switch (operation) {
    case FORWARD:
        return s->forward && d->forward;
    case DERIVATIVE:
        return s->derivative && d->derivative;
    case VALUE_AND_DERIVATIVE:
        return (s->value_and_derivative || (s->forward && s->derivative)) &&
               (d->value_and_derivative || (d->forward && d->derivative));
    case BACKWARD:
        return (s->backward || s->derivative) && (d->backward || d->derivative);
    case BACKWARD_FROM_OUTPUT:
        return s->backward_from_output && d->backward_from_output;
    case PARAMETER_GRADIENT:
        return s->parameter_gradients && d->parameter_gradients;
    }
    return 0;
}

/* Whether the kernel can do the operation, in both dtypes. */
static inline int has_operation(const pyactx_kernel *kernel, enum operation operation)
{
    return tables_have(&kernel->f32, &kernel->f64, operation);
}

/* Whether it can do it with parameters that are arrays.  What is composed of others is done in pieces, in which the
 * parameters of the whole block do not fit; one that is not there is called element by element. */
static inline int has_each(const pyactx_kernel *kernel, enum operation operation)
{
    const pyactx_operations_f32 *s = &kernel->each_f32;
    const pyactx_operations_f64 *d = &kernel->each_f64;
    return tables_have(s, d, operation) && (operation != BACKWARD || (s->backward && d->backward)) &&
           (operation != VALUE_AND_DERIVATIVE || (s->value_and_derivative && d->value_and_derivative));
}

/* Computes units [start, stop) in the default floating-point environment. */
static void compute_units(const work *w, ptrdiff_t start, ptrdiff_t stop)
{
    const environment saved = environment_enter();
    for (ptrdiff_t u = start; u < stop; u++) {
        const ptrdiff_t first = u * w->unit;
        const ptrdiff_t n = w->n - first < w->unit ? w->n - first : w->unit;
        if (w->is_double) {
            double *const arrays[MAX_ARRAYS] = {(double *)w->arrays[0] + first, (double *)w->arrays[1] + first,
                                                w->arrays[2] ? (double *)w->arrays[2] + first : NULL};
            compute_f64(w, arrays, n);
        } else {
            float *const arrays[MAX_ARRAYS] = {(float *)w->arrays[0] + first, (float *)w->arrays[1] + first,
                                               w->arrays[2] ? (float *)w->arrays[2] + first : NULL};
            compute_f32(w, arrays, n);
        }
    }
    environment_leave(saved);
}

#endif
