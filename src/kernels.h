/* Expands the rows of activations.def and rowwise.h into loops for one instruction set, and makes an extension module
 * of them.  kernels_<isa>.c names the instruction set (PYACTX_ISA), setup.py gives it its compiler flags.
 *
 * Everything is static: a function that the linker could share between instruction sets might run where it must not.
 */
#include <Python.h>

#if defined(_MSC_VER) && !defined(__clang__)
#pragma fp_contract(off) /* the correct but slower way on Windows; wheels have clang-cl */
#endif

#include "pyactx.h"
#include "vecmath.h"

#if defined(__clang__)
#define VECTORIZE _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__)
#define VECTORIZE _Pragma("omp simd")
#else
#define VECTORIZE __pragma(loop(ivdep))
#endif

#if defined(__GNUC__)
#define MAYBE_UNUSED __attribute__((unused))
#else
#define MAYBE_UNUSED
#endif

#define PASTE_(a, b) a##b
#define PASTE(a, b) PASTE_(a, b)

#define REQUIRED PYACTX_REQUIRED

/* ---- The columns of a row ------------------------------------------------------------------------------------- */

#define NATIVE(T) T
#define WIDE(T) double

#define NO_TERMS
#define TERM(term, expression) MAYBE_UNUSED const real term = (expression);

/* The value of parameter k for element i: one for all elements, or (in the "each" loops) one each. */
#define PARAMETER(k) (each ? params[(k) * n + i] : params[k])

#define COUNT_PARAMETERS_0 0
#define COUNT_PARAMETERS_1(a, a0, a_gradient) 1
#define COUNT_PARAMETERS_2(a, a0, a_gradient, b, b0, b_gradient) 2

#define DECLARE_PARAMETERS_0
#define DECLARE_PARAMETERS_1(a, a0, a_gradient) MAYBE_UNUSED const real a = (real)PARAMETER(0);
#define DECLARE_PARAMETERS_2(a, a0, a_gradient, b, b0, b_gradient) \
    MAYBE_UNUSED const real a = (real)PARAMETER(0), b = (real)PARAMETER(1);

#define GRADIENT_0_PARAMETERS_0 0
#define GRADIENT_0_PARAMETERS_1(a, a0, a_gradient) a_gradient
#define GRADIENT_0_PARAMETERS_2(a, a0, a_gradient, b, b0, b_gradient) a_gradient
#define GRADIENT_1_PARAMETERS_0 0
#define GRADIENT_1_PARAMETERS_1(a, a0, a_gradient) 0
#define GRADIENT_1_PARAMETERS_2(a, a0, a_gradient, b, b0, b_gradient) b_gradient

#define NAMES_PARAMETERS_0 NULL
#define NAMES_PARAMETERS_1(a, a0, a_gradient) #a
#define NAMES_PARAMETERS_2(a, a0, a_gradient, b, b0, b_gradient) #a, #b

#define DEFAULTS_PARAMETERS_0 0
#define DEFAULTS_PARAMETERS_1(a, a0, a_gradient) a0
#define DEFAULTS_PARAMETERS_2(a, a0, a_gradient, b, b0, b_gradient) a0, b0

#define HAS_FROM_OUTPUT(expression) 1
#define HAS_INPUT_ONLY 0
#define EXPRESSION_FROM_OUTPUT(expression) (expression)
#define EXPRESSION_INPUT_ONLY 0

/* ---- The loops ------------------------------------------------------------------------------------------------ */

/* Expands to
 *     static void function(<arrays>, ptrdiff_t n, const T *params)
 *     {   for every i { const real <parameters>, <variable> = <input>[i], <terms>;  <stores> }   }
 * with `real` the type that the row is evaluated in.  No `restrict`: an output may be an input. */
#define LOOP(function, T, type, EACH, ARRAYS, parameters, variable, input, terms, ...)                           \
    static void function(ARRAYS(T), ptrdiff_t n, const T *params)                                                \
    {                                                                                                            \
        typedef type real;                                                                                       \
        enum { each = EACH };                                                                                    \
        (void)params;                                                                                            \
        VECTORIZE for (ptrdiff_t i = 0; i < n; i++)                                                              \
        {                                                                                                        \
            parameters MAYBE_UNUSED const real variable = (real)input[i];                                        \
            terms __VA_ARGS__                                                                                    \
        }                                                                                                        \
    }

#define MAP(T) const T *input_x, T *output_y
#define PRODUCT(T) const T *input_grad, const T *input_x, T *output_y
#define PAIR(T) const T *input_x, T *output_y, T *output_d

/* Expands to the loops of one row for one element type, `name` ending in f32, each_f32 and so on. */
#define LOOPS(name, suffix, T, type, each, parameters, terms, forward, derivative, output, gradient_0, gradient_1) \
    LOOP(name##_forward_##suffix, T, type, each, MAP, parameters, x, input_x, terms,                             \
         output_y[i] = (T)(forward);)                                                                            \
    LOOP(name##_derivative_##suffix, T, type, each, MAP, parameters, x, input_x, terms,                          \
         output_y[i] = (T)(derivative);)                                                                         \
    LOOP(name##_backward_##suffix, T, type, each, PRODUCT, parameters, x, input_x, terms,                        \
         output_y[i] = (T)((real)input_grad[i] * (derivative));)                                                 \
    LOOP(name##_backward_from_output_##suffix, T, type, each, PRODUCT, parameters, y, input_x, ,                 \
         output_y[i] = (T)((real)input_grad[i] * (output));)                                                     \
    LOOP(name##_value_and_derivative_##suffix, T, type, each, PAIR, parameters, x, input_x, terms,               \
         const T value = (T)(forward); const T slope = (T)(derivative);                                          \
         output_y[i] = value; output_d[i] = slope;)                                                              \
    MAYBE_UNUSED LOOP(name##_gradient_0_##suffix, T, type, each, PRODUCT, parameters, x, input_x, terms,         \
         output_y[i] = (T)((real)input_grad[i] * (gradient_0));)                                                 \
    MAYBE_UNUSED LOOP(name##_gradient_1_##suffix, T, type, each, PRODUCT, parameters, x, input_x, terms,         \
         output_y[i] = (T)((real)input_grad[i] * (gradient_1));)

#define ACTIVATION(name, width, cost, parameters, terms, forward, derivative, output)                            \
    LOOPS(name, f32, float, width(float), 0, DECLARE_##parameters, terms, forward, derivative,                   \
          EXPRESSION_##output, GRADIENT_0_##parameters, GRADIENT_1_##parameters)                                 \
    LOOPS(name, f64, double, double, 0, DECLARE_##parameters, terms, forward, derivative,                        \
          EXPRESSION_##output, GRADIENT_0_##parameters, GRADIENT_1_##parameters)                                 \
    LOOPS(name, each_f32, float, width(float), 1, DECLARE_##parameters, terms, forward, derivative,              \
          EXPRESSION_##output, GRADIENT_0_##parameters, GRADIENT_1_##parameters)                                 \
    LOOPS(name, each_f64, double, double, 1, DECLARE_##parameters, terms, forward, derivative,                   \
          EXPRESSION_##output, GRADIENT_0_##parameters, GRADIENT_1_##parameters)
#include "activations.def"
#undef ACTIVATION

/* ---- Rows of an axis ------------------------------------------------------------------------------------------ */

enum {
    LANES = 16, /* partial sums and maxima: two vectors of the widest instruction set */
    CHUNK = 256 /* elements between two additions to the partial sums; a multiple of LANES */
};

/* Partial sums and what their additions lost. */
typedef struct {
    double sum[LANES];
    double lost[LANES];
} row_sum;

/* Adds x[0..n), whose array has room up to the next multiple of LANES. */
static void row_sum_add(row_sum *total, double *x, ptrdiff_t n)
{
    while (n % LANES)
        x[n++] = 0;
    for (ptrdiff_t i = 0; i < n; i += LANES)
        VECTORIZE for (int j = 0; j < LANES; j++) {
            const double old = total->sum[j];
            const double new = old + x[i + j];
            const double used = new - old;
            total->lost[j] += (old - (new - used)) + (x[i + j] - used);
            total->sum[j] = new;
        }
}

static double row_sum_total(const row_sum *total)
{
    double sum = 0, lost = 0;
    for (int j = 0; j < LANES; j++) {
        const double new = sum + total->sum[j];
        const double used = new - sum;
        lost += (sum - (new - used)) + (total->sum[j] - used) + total->lost[j];
        sum = new;
    }
    return v_where(lost == lost, sum + lost, sum); /* an infinite sum has lost inf - inf */
}

#define T float
#define F f32
#include "rowwise.h"
#undef T
#undef F
#define T double
#define F f64
#include "rowwise.h"
#undef T
#undef F

/* ---- The kernel table ----------------------------------------------------------------------------------------- */

#define IF(condition, function) ((condition) ? (function) : NULL)

#define GRADIENTS(name, parameters, suffix, F)                                                                   \
    static pyactx_product_##F *const name##_gradients_##suffix[] = {                                             \
        IF(COUNT_##parameters > 0, name##_gradient_0_##suffix), IF(COUNT_##parameters > 1, name##_gradient_1_##suffix)};

#define OPERATIONS(name, used, output, suffix)                                                                   \
    {IF(used, name##_forward_##suffix), IF(used, name##_derivative_##suffix), IF(used, name##_backward_##suffix), \
     IF((used) && HAS_##output, name##_backward_from_output_##suffix),                                           \
     IF(used, name##_value_and_derivative_##suffix), IF(used, name##_gradients_##suffix)}

#define ACTIVATION(name, width, cost_, parameters, terms, forward, derivative, output)                           \
    GRADIENTS(name, parameters, f32, f32)                                                                        \
    GRADIENTS(name, parameters, f64, f64)                                                                        \
    GRADIENTS(name, parameters, each_f32, f32)                                                                   \
    GRADIENTS(name, parameters, each_f64, f64)                                                                   \
    static const char *const name##_names[] = {NAMES_##parameters};                                              \
    static const double name##_defaults[] = {DEFAULTS_##parameters};                                             \
    static const pyactx_kernel name##_kernel = {                                                                 \
        sizeof(pyactx_kernel), PYACTX_ELEMENTWISE, cost_, COUNT_##parameters, #name, name##_names,               \
        name##_defaults,                                                                                         \
        OPERATIONS(name, 1, output, f32), OPERATIONS(name, 1, output, f64),                                      \
        OPERATIONS(name, COUNT_##parameters > 0, output, each_f32),                                              \
        OPERATIONS(name, COUNT_##parameters > 0, output, each_f64)};
#include "activations.def"
#undef ACTIVATION

#define AXISWISE(name, cost_)                                                                                    \
    static const pyactx_kernel name##_kernel = {                                                                 \
        sizeof(pyactx_kernel), PYACTX_AXISWISE, cost_, 0, #name, NULL, NULL,                                     \
        {name##_forward_f32, NULL, name##_backward_f32, name##_backward_from_output_f32, NULL, NULL},            \
        {name##_forward_f64, NULL, name##_backward_f64, name##_backward_from_output_f64, NULL, NULL},            \
        {0}, {0}};
#include "axiswise.def"
#undef AXISWISE

static const pyactx_kernel *const kernels[] = {
#define ACTIVATION(name, ...) &name##_kernel,
#include "activations.def"
#undef ACTIVATION
#define AXISWISE(name, ...) &name##_kernel,
#include "axiswise.def"
#undef AXISWISE
};

/* ---- The module ----------------------------------------------------------------------------------------------- */

#define STRING_(x) #x
#define STRING(x) STRING_(x)

/* Sets `isa` and `kernels`, a dict from name to capsule. */
static int execute(PyObject *module)
{
    PyObject *capsules = PyDict_New();
    if (!capsules)
        return -1;
    for (size_t i = 0; i < sizeof kernels / sizeof kernels[0]; i++) {
        PyObject *capsule = PyCapsule_New((void *)kernels[i], PYACTX_KERNEL_CAPSULE, NULL);
        if (!capsule || PyDict_SetItemString(capsules, kernels[i]->name, capsule) < 0) {
            Py_XDECREF(capsule);
            Py_DECREF(capsules);
            return -1;
        }
        Py_DECREF(capsule);
    }
    if (PyModule_AddObjectRef(module, "kernels", capsules) < 0) {
        Py_DECREF(capsules);
        return -1;
    }
    Py_DECREF(capsules);
    return PyModule_AddStringConstant(module, "isa", STRING(PYACTX_ISA));
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, execute},
#ifdef Py_MOD_GIL_NOT_USED
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, .m_name = "pyactx._kernels_" STRING(PYACTX_ISA),
    .m_doc = "The kernels of pyactx for one instruction set.", .m_slots = slots,
};

PyMODINIT_FUNC PASTE(PyInit__kernels_, PYACTX_ISA)(void)
{
    return PyModuleDef_Init(&definition);
}
