/* One call: which operation of which kernel on which contiguous arrays, and how to compute a part of it.
 *
 * The arrays are cut into units: rows for an axis-wise kernel, blocks that fit the cache for others.  Units are
 * independent, so that any number of threads may share them and give the same bits.
 */
#ifndef PYACTX_WORK_H
#define PYACTX_WORK_H

#include <string.h>

#include "pyactx.h"

enum operation { FORWARD, DERIVATIVE, BACKWARD, BACKWARD_FROM_OUTPUT, VALUE_AND_DERIVATIVE, PARAMETER_GRADIENT };

enum {
    MAX_ARRAYS = 5,     /* inputs and outputs of an operation */
    MAX_PARAMETERS = 8,
    BLOCK = 4096,       /* elements of a unit that is no row */
    BUFFER = 512,       /* elements of an intermediate result kept on the stack */
    SHORT_ROW = 64      /* rows up to this length are taken PYACTX_ROWS at a time */
};

typedef struct {
    const pyactx_kernel *kernel;
    enum operation operation;
    int parameter;     /* of a PARAMETER_GRADIENT */
    int is_double;
    int each;          /* the parameters are arrays of one value per element */
    const void *params;
    void *arrays[MAX_ARRAYS]; /* inputs, then outputs */
    ptrdiff_t beside;         /* rows in a group, that begin one element after the other; 0: one row is behind the other */
    ptrdiff_t steps[MAX_ARRAYS]; /* in a group, from an element of a row to the next */
    ptrdiff_t n;       /* elements in all units */
    ptrdiff_t unit;    /* elements of a unit; the last may be shorter */
    ptrdiff_t units;
} work;

static inline int has_rows(const pyactx_kernel *kernel)
{
    return kernel->kind == PYACTX_AXISWISE || kernel->kind == PYACTX_REDUCTION;
}

/* The number of arrays an operation reads and writes. */
static inline int operation_inputs(const pyactx_kernel *kernel, enum operation operation)
{
    const int alone = operation == FORWARD || operation == DERIVATIVE || operation == VALUE_AND_DERIVATIVE;
    return (alone ? 1 : 2) + (kernel->kind == PYACTX_GATED);
}

static inline int operation_outputs(const pyactx_kernel *kernel, enum operation operation)
{
    return operation == VALUE_AND_DERIVATIVE || (operation == BACKWARD && kernel->kind == PYACTX_GATED) ? 2 : 1;
}

/* Whether array k has one number for a row: the result of a reduction, its gradient, and that of a parameter. */
static inline int is_number(const pyactx_kernel *kernel, enum operation operation, int k)
{
    if (operation == PARAMETER_GRADIENT)
        return has_rows(kernel) && (k == 2 || (k == 0 && kernel->kind == PYACTX_REDUCTION));
    return kernel->kind == PYACTX_REDUCTION && k == (operation == FORWARD);
}

/* ---- Which functions a kernel has ----------------------------------------------------------------------------- */

/* Defines have_<F> and gated_have_<F>: whether a table has what an operation needs. */
#define DEFINE_HAVE(F)                                                                                           \
    static inline int have_##F(const pyactx_operations_##F *table, enum operation operation)                     \
    {                                                                                                            \
        switch (operation) {                                                                                     \
        case FORWARD:                                                                                            \
            return table->forward != NULL;                                                                       \
        case DERIVATIVE:                                                                                         \
            return table->derivative != NULL;                                                                    \
        case VALUE_AND_DERIVATIVE:                                                                               \
            return table->value_and_derivative || (table->forward && table->derivative);                         \
        case BACKWARD:                                                                                           \
            return table->backward || table->derivative;                                                         \
        case BACKWARD_FROM_OUTPUT:                                                                               \
            return table->backward_from_output != NULL;                                                          \
        case PARAMETER_GRADIENT:                                                                                 \
            return table->parameter_gradients != NULL;                                                           \
        }                                                                                                        \
        return 0;                                                                                                \
    }                                                                                                            \
                                                                                                                 \
    static inline int gated_have_##F(const pyactx_gated_##F *table, enum operation operation)                    \
    {                                                                                                            \
        return operation == FORWARD              ? table->forward != NULL                                        \
               : operation == BACKWARD           ? table->backward != NULL                                       \
               : operation == PARAMETER_GRADIENT ? table->parameter_gradients != NULL                            \
                                                 : 0;                                                            \
    }                                                                                                            \
                                                                                                                 \
    static inline int has_##F(const pyactx_kernel *kernel, enum operation operation, int each)                   \
    {                                                                                                            \
        if (kernel->kind == PYACTX_GATED)                                                                        \
            return gated_have_##F(each ? &kernel->each_gated_##F : &kernel->gated_##F, operation);               \
        return have_##F(each ? &kernel->each_##F : &kernel->F, operation);                                       \
    }

DEFINE_HAVE(f32)
DEFINE_HAVE(f64)

/* Defines rows_of_<F>: the function over any number of rows, or NULL. */
#define DEFINE_ROWS(F)                                                                                           \
    static inline pyactx_rows_##F *rows_of_##F(const pyactx_kernel *kernel, enum operation operation, int parameter) \
    {                                                                                                            \
        const pyactx_row_operations_##F *table = &kernel->rows_##F;                                              \
        return operation == FORWARD                ? table->forward                                              \
               : operation == BACKWARD             ? table->backward                                             \
               : operation == BACKWARD_FROM_OUTPUT ? table->backward_from_output                                 \
               : operation == PARAMETER_GRADIENT && table->parameter_gradients                                   \
                   ? table->parameter_gradients[parameter]                                                       \
                   : NULL;                                                                                       \
    }

DEFINE_ROWS(f32)
DEFINE_ROWS(f64)

/* Whether it can do rows whose elements lie apart. */
static inline int has_rows_beside(const pyactx_kernel *kernel, enum operation operation, int parameter)
{
    return rows_of_f32(kernel, operation, parameter) && rows_of_f64(kernel, operation, parameter);
}

/* Whether the kernel can do the operation with parameters that are arrays, or with rows side by side.  What it cannot is
 * called element by element, or row by row. */
static inline int has_each(const pyactx_kernel *kernel, enum operation operation)
{
    return has_f64(kernel, operation, 1) && (has_rows(kernel) || has_f32(kernel, operation, 1));
}

/* Whether it can do it only with parameters that are arrays. */
static inline int needs_each(const pyactx_kernel *kernel, enum operation operation)
{
    return !has_f64(kernel, operation, 0) || !has_f32(kernel, operation, 0);
}

/* Whether it can do it at all, in both dtypes. */
static inline int has_operation(const pyactx_kernel *kernel, enum operation operation)
{
    return !needs_each(kernel, operation) || (has_each(kernel, operation) && !has_rows(kernel));
}

/* ---- Computing ------------------------------------------------------------------------------------------------- */

/* Defines compute_<F>(work, arrays, n): the operation on one block, composed from others where the kernel lacks it.  With
 * parameters that are arrays, n is at most BUFFER. */
#define DEFINE_COMPUTE(T, F)                                                                                        \
    static void compute_##F(const work *w, T *const arrays[MAX_ARRAYS], ptrdiff_t n)                                \
    {                                                                                                            \
        const pyactx_operations_##F *op = w->each ? &w->kernel->each_##F : &w->kernel->F;                        \
        const T *params = (const T *)w->params;                                                                  \
        T *const a = arrays[0], *const b = arrays[1], *const c = arrays[2];                                      \
        T buffer[BUFFER];                                                                                        \
        if (w->kernel->kind == PYACTX_GATED) {                                                                   \
            const pyactx_gated_##F *gated = w->each ? &w->kernel->each_gated_##F : &w->kernel->gated_##F;        \
            if (w->operation == FORWARD)                                                                         \
                gated->forward(a, b, c, n, params);                                                              \
            else if (w->operation == BACKWARD)                                                                   \
                gated->backward(a, b, c, arrays[3], arrays[4], n, params);                                       \
            else                                                                                                 \
                gated->parameter_gradients[w->parameter](a, b, c, arrays[3], n, params);                         \
            return;                                                                                              \
        }                                                                                                        \
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

enum {
    MAX_ROW_ARRAYS = 3,
    FEW_ROWS = 4 /* fewer are faster one by one */
};

/* Defines compute_units_<F>: units [start, stop) of the arrays.  Short rows are laid side by side, element j of row r at
 * [j * PYACTX_ROWS + r], and computed PYACTX_ROWS at a time, in double. */
#define DEFINE_COMPUTE_UNITS(T, F)                                                                               \
    static void compute_side_by_side_##F(const work *w, T *const arrays[MAX_ARRAYS], int count, ptrdiff_t rows)  \
    {                                                                                                            \
        const int inputs = operation_inputs(w->kernel, w->operation);                                            \
        double lanes[MAX_ROW_ARRAYS][SHORT_ROW * PYACTX_ROWS], params[MAX_PARAMETERS];                           \
        double *const laid[MAX_ARRAYS] = {lanes[0], lanes[1], lanes[2]};                                         \
        for (int k = 0; k < inputs; k++) {                                                                       \
            const ptrdiff_t n = is_number(w->kernel, w->operation, k) ? 1 : w->unit;                             \
            for (ptrdiff_t r = 0; r < PYACTX_ROWS; r++) { /* no lane without numbers: the first row again */     \
                const T *row = arrays[k] + (r < rows ? r : 0) * n;                                               \
                for (ptrdiff_t j = 0; j < n; j++)                                                                \
                    lanes[k][j * PYACTX_ROWS + r] = row[j];                                                      \
            }                                                                                                    \
        }                                                                                                        \
        for (uint32_t k = 0; k < w->kernel->n_params; k++)                                                       \
            params[k] = ((const T *)w->params)[k];                                                               \
        work each = *w;                                                                                          \
        each.each = 1;                                                                                           \
        each.params = params;                                                                                    \
        compute_f64(&each, laid, w->unit);                                                                          \
        for (int k = inputs; k < count; k++) {                                                                   \
            const ptrdiff_t n = is_number(w->kernel, w->operation, k) ? 1 : w->unit;                             \
            for (ptrdiff_t r = 0; r < rows; r++)                                                                 \
                for (ptrdiff_t j = 0; j < n; j++)                                                                \
                    arrays[k][r * n + j] = (T)lanes[k][j * PYACTX_ROWS + r];                                     \
        }                                                                                                        \
    }                                                                                                            \
                                                                                                                 \
    static void compute_units_##F(const work *w, ptrdiff_t start, ptrdiff_t stop)                                \
    {                                                                                                            \
        const int count = operation_inputs(w->kernel, w->operation) + operation_outputs(w->kernel, w->operation); \
        pyactx_rows_##F *const rows_function = rows_of_##F(w->kernel, w->operation, w->parameter);               \
        while (rows_function && start < stop) {                                                                  \
            const ptrdiff_t group = w->beside ? start / w->beside : 0, first = start - group * w->beside;        \
            const ptrdiff_t left = stop - start, in_group = w->beside ? w->beside - first : left;                \
            const ptrdiff_t here = in_group < left ? in_group : left;                                            \
            pyactx_row_array rows[MAX_ARRAYS];                                                                   \
            for (int k = 0; k < count; k++) {                                                                    \
                T *const array = w->arrays[k];                                                                   \
                if (is_number(w->kernel, w->operation, k))                                                       \
                    rows[k] = (pyactx_row_array){array + start, 1, 1};                                           \
                else if (w->beside)                                                                              \
                    rows[k] = (pyactx_row_array){array + group * w->unit * w->steps[k] + first, 1, w->steps[k]}; \
                else                                                                                             \
                    rows[k] = (pyactx_row_array){array + start * w->unit, w->unit, 1};                           \
            }                                                                                                    \
            rows_function(rows, here, w->unit, (const T *)w->params);                                            \
            start += here;                                                                                       \
        }                                                                                                        \
        const int short_rows = has_rows(w->kernel) && w->unit <= SHORT_ROW && has_each(w->kernel, w->operation); \
        while (start < stop) {                                                                                   \
            T *arrays[MAX_ARRAYS];                                                                               \
            for (int k = 0; k < count; k++)                                                                      \
                arrays[k] = (T *)w->arrays[k] + start * (is_number(w->kernel, w->operation, k) ? 1 : w->unit);   \
            if (short_rows && stop - start >= FEW_ROWS) {                                                        \
                const ptrdiff_t rows = stop - start < PYACTX_ROWS ? stop - start : PYACTX_ROWS;                  \
                compute_side_by_side_##F(w, arrays, count, rows);                                                \
                start += rows;                                                                                   \
            } else {                                                                                             \
                const ptrdiff_t left = w->n - start * w->unit;                                                   \
                compute_##F(w, arrays, left < w->unit ? left : w->unit);                                         \
                start++;                                                                                         \
            }                                                                                                    \
        }                                                                                                        \
    }

DEFINE_COMPUTE_UNITS(float, f32)
DEFINE_COMPUTE_UNITS(double, f64)

/* Computes units [start, stop), in the floating-point environment of the caller: the default one. */
static void compute_units(const work *w, ptrdiff_t start, ptrdiff_t stop)
{
    if (w->is_double)
        compute_units_f64(w, start, stop);
    else
        compute_units_f32(w, start, stop);
}

#endif
