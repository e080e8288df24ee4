/* Expands the rows of activations.def and rowwise.h into loops, and makes a table of them: `kernels`.
 *
 * Everything is static: a function that the linker could share between instruction sets might run where it must not.
 */

#if defined(_MSC_VER) && !defined(__clang__)
#pragma fp_contract(off) /* the correct but slower way on Windows; wheels have clang-cl */
#endif

#include "pyactx.h"
#include "singlemath.h"
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

#define NO_TERMS
#define TERM(term, expression) MAYBE_UNUSED const real term = (expression);
#define PAIR_TERM(term, expression) MAYBE_UNUSED const s_pair term = (expression);

/* The value of parameter k for element i: one for all elements, or (in the "each" loops) one each. */
#define PARAMETER(k) (each ? params[(k) * n + i] : params[k])

/* What PARAMETERS_<count>(name, default, gradient, ...) holds, taken apart. */
#define COUNT_PARAMETERS_0 0
#define COUNT_PARAMETERS_1(...) 1
#define COUNT_PARAMETERS_2(...) 2
#define COUNT_PARAMETERS_3(...) 3
#define COUNT_PARAMETERS_4(...) 4

#define NAMES_PARAMETERS_0 NULL
#define NAMES_PARAMETERS_1(a, a0, da) #a
#define NAMES_PARAMETERS_2(a, a0, da, ...) #a, NAMES_PARAMETERS_1(__VA_ARGS__)
#define NAMES_PARAMETERS_3(a, a0, da, ...) #a, NAMES_PARAMETERS_2(__VA_ARGS__)
#define NAMES_PARAMETERS_4(a, a0, da, ...) #a, NAMES_PARAMETERS_3(__VA_ARGS__)

#define DEFAULTS_PARAMETERS_0 0
#define DEFAULTS_PARAMETERS_1(a, a0, da) a0
#define DEFAULTS_PARAMETERS_2(a, a0, da, ...) a0, DEFAULTS_PARAMETERS_1(__VA_ARGS__)
#define DEFAULTS_PARAMETERS_3(a, a0, da, ...) a0, DEFAULTS_PARAMETERS_2(__VA_ARGS__)
#define DEFAULTS_PARAMETERS_4(a, a0, da, ...) a0, DEFAULTS_PARAMETERS_3(__VA_ARGS__)

#define DECLARE_PARAMETERS_0
#define DECLARE_PARAMETERS_1(a, a0, da) DECLARE(a, 0)
#define DECLARE_PARAMETERS_2(a, a0, da, b, b0, db) DECLARE(a, 0) DECLARE(b, 1)
#define DECLARE_PARAMETERS_3(a, a0, da, b, b0, db, c, c0, dc) DECLARE(a, 0) DECLARE(b, 1) DECLARE(c, 2)
#define DECLARE_PARAMETERS_4(a, a0, da, b, b0, db, c, c0, dc, d, d0, dd)                                         \
    DECLARE(a, 0) DECLARE(b, 1) DECLARE(c, 2) DECLARE(d, 3)
#define DECLARE(parameter, k) MAYBE_UNUSED const real parameter = PARAMETER(k);

/* The defaults, for compilers to compute with. */
#define DECLARE_DEFAULTS_PARAMETERS_0
#define DECLARE_DEFAULTS_PARAMETERS_1(a, a0, da) DECLARE_DEFAULT(a, a0)
#define DECLARE_DEFAULTS_PARAMETERS_2(a, a0, da, ...) DECLARE_DEFAULT(a, a0) DECLARE_DEFAULTS_PARAMETERS_1(__VA_ARGS__)
#define DECLARE_DEFAULT(parameter, value) MAYBE_UNUSED const real parameter = (value);

/* Always four, for GRADIENT(k, ...) to choose from. */
#define GRADIENTS_PARAMETERS_0 0, 0, 0, 0
#define GRADIENTS_PARAMETERS_1(a, a0, da) da, 0, 0, 0
#define GRADIENTS_PARAMETERS_2(a, a0, da, b, b0, db) da, db, 0, 0
#define GRADIENTS_PARAMETERS_3(a, a0, da, b, b0, db, c, c0, dc) da, db, dc, 0
#define GRADIENTS_PARAMETERS_4(a, a0, da, b, b0, db, c, c0, dc, d, d0, dd) da, db, dc, dd
#define GRADIENT(k, ...) GRADIENT_##k(__VA_ARGS__)
#define GRADIENT_0(da, db, dc, dd) (da)
#define GRADIENT_1(da, db, dc, dd) (db)
#define GRADIENT_2(da, db, dc, dd) (dc)
#define GRADIENT_3(da, db, dc, dd) (dd)

#define HAS_FROM_OUTPUT(expression) 1
#define HAS_INPUT_ONLY 0
#define EXPRESSION_FROM_OUTPUT(expression) (expression)
#define EXPRESSION_INPUT_ONLY 0

/* ---- Wide rows: float arrays through functions of double, rounded once at the end ------------------------------ */

enum shape { MAP_SHAPE, PRODUCT_SHAPE, SLOPE_SHAPE, PAIR_SHAPE, GATED_PAIR_SHAPE, GATED_PRODUCT_SHAPE };

typedef union {
    pyactx_map_f64 *map;
    pyactx_product_f64 *product;
    pyactx_pair_f64 *pair;
    pyactx_gated_backward_f64 *gated_pair;
    pyactx_gated_gradient_f64 *gated_product;
} any_function;

enum {
    PIECE = 512, /* elements converted at a time; where parameters are arrays, n is no larger */
    MOST_PARAMETERS = 4
};

static void wide(enum shape shape, any_function function, const float *const *inputs, float *const *outputs, ptrdiff_t n,
                 const float *params, ptrdiff_t n_values)
{
    const int n_inputs = shape == MAP_SHAPE || shape == PAIR_SHAPE ? 1 : shape <= SLOPE_SHAPE ? 2 : 3;
    const int n_outputs = shape == PAIR_SHAPE || shape == GATED_PAIR_SHAPE ? 2 : 1;
    double in[3][PIECE], out[2][PIECE], values[MOST_PARAMETERS * PIECE];
    for (ptrdiff_t i = 0; i < n_values; i++)
        values[i] = params[i];
    for (ptrdiff_t start = 0; start < n; start += PIECE) {
        const ptrdiff_t m = n - start < PIECE ? n - start : PIECE;
        for (int k = 0; k < n_inputs; k++)
            VECTORIZE for (ptrdiff_t i = 0; i < m; i++)
                in[k][i] = inputs[k][start + i];
        switch (shape) {
        case MAP_SHAPE:
            function.map(in[0], out[0], m, values);
            break;
        case PRODUCT_SHAPE:
            function.product(in[0], in[1], out[0], m, values);
            break;
        case SLOPE_SHAPE: /* grad times the derivative that the map gives */
            function.map(in[1], out[0], m, values);
            VECTORIZE for (ptrdiff_t i = 0; i < m; i++)
                out[0][i] *= in[0][i];
            break;
        case PAIR_SHAPE:
            function.pair(in[0], out[0], out[1], m, values);
            break;
        case GATED_PAIR_SHAPE:
            function.gated_pair(in[0], in[1], in[2], out[0], out[1], m, values);
            break;
        case GATED_PRODUCT_SHAPE:
            function.gated_product(in[0], in[1], in[2], out[0], m, values);
            break;
        }
        for (int k = 0; k < n_outputs; k++)
            VECTORIZE for (ptrdiff_t i = 0; i < m; i++)
                outputs[k][start + i] = (float)out[k][i];
    }
}

#define WIDE_MAP(name, suffix, n_values)                                                                         \
    MAYBE_UNUSED static void name##suffix##f32(const float *x, float *y, ptrdiff_t n, const float *params)       \
    {                                                                                                            \
        wide(MAP_SHAPE, (any_function){.map = name##suffix##f64}, &x, &y, n, params, n_values);                  \
    }
#define WIDE_PRODUCT(name, suffix, n_values)                                                                     \
    MAYBE_UNUSED static void name##suffix##f32(const float *grad, const float *x, float *y, ptrdiff_t n,         \
                                               const float *params)                                              \
    {                                                                                                            \
        wide(PRODUCT_SHAPE, (any_function){.product = name##suffix##f64}, (const float *const[]){grad, x}, &y, n, \
             params, n_values);                                                                                  \
    }
#define WIDE_SLOPE(name, suffix, derivative, n_values)                                                           \
    MAYBE_UNUSED static void name##suffix##f32(const float *grad, const float *x, float *y, ptrdiff_t n,         \
                                               const float *params)                                              \
    {                                                                                                            \
        wide(SLOPE_SHAPE, (any_function){.map = name##derivative##f64}, (const float *const[]){grad, x}, &y, n,  \
             params, n_values);                                                                                  \
    }
#define WIDE_PAIR(name, suffix, n_values)                                                                        \
    MAYBE_UNUSED static void name##suffix##f32(const float *x, float *y, float *d, ptrdiff_t n,                  \
                                               const float *params)                                              \
    {                                                                                                            \
        wide(PAIR_SHAPE, (any_function){.pair = name##suffix##f64}, &x, (float *const[]){y, d}, n, params,       \
             n_values);                                                                                          \
    }
#define WIDE_GATED_PAIR(name, suffix, n_values)                                                                  \
    MAYBE_UNUSED static void name##suffix##f32(const float *grad, const float *gate, const float *up,            \
                                               float *by_gate, float *by_up, ptrdiff_t n, const float *params)   \
    {                                                                                                            \
        wide(GATED_PAIR_SHAPE, (any_function){.gated_pair = name##suffix##f64},                                  \
             (const float *const[]){grad, gate, up}, (float *const[]){by_gate, by_up}, n, params, n_values);     \
    }
#define WIDE_GATED_PRODUCT(name, suffix, n_values)                                                               \
    MAYBE_UNUSED static void name##suffix##f32(const float *grad, const float *gate, const float *up, float *y,  \
                                               ptrdiff_t n, const float *params)                                 \
    {                                                                                                            \
        wide(GATED_PRODUCT_SHAPE, (any_function){.gated_product = name##suffix##f64},                            \
             (const float *const[]){grad, gate, up}, &y, n, params, n_values);                                   \
    }

#define WIDE_LOOPS(name, count)                                                                                  \
    WIDE_MAP(name, _forward_, count) WIDE_MAP(name, _forward_each_, (count) * n)                                 \
    WIDE_MAP(name, _derivative_, count) WIDE_MAP(name, _derivative_each_, (count) * n)                           \
    WIDE_PRODUCT(name, _backward_, count) WIDE_SLOPE(name, _backward_each_, _derivative_each_, (count) * n)      \
    WIDE_PAIR(name, _value_and_derivative_, count)                                                               \
    WIDE_PRODUCT(name, _backward_from_output_, count)                                                            \
    WIDE_PRODUCT(name, _backward_from_output_each_, (count) * n)                                                 \
    WIDE_PRODUCT(name, _gradient_0_each_, (count) * n) WIDE_PRODUCT(name, _gradient_1_each_, (count) * n)        \
    WIDE_PRODUCT(name, _gradient_2_each_, (count) * n) WIDE_PRODUCT(name, _gradient_3_each_, (count) * n)
#define WIDE_GATED_LOOPS(name, count)                                                                            \
    WIDE_PRODUCT(name, _forward_, count) WIDE_PRODUCT(name, _forward_each_, (count) * n)                         \
    WIDE_GATED_PAIR(name, _backward_, count) WIDE_GATED_PAIR(name, _backward_each_, (count) * n)                 \
    WIDE_GATED_PRODUCT(name, _gradient_0_each_, (count) * n)                                                     \
    WIDE_GATED_PRODUCT(name, _gradient_1_each_, (count) * n)                                                     \
    WIDE_GATED_PRODUCT(name, _gradient_2_each_, (count) * n)                                                     \
    WIDE_GATED_PRODUCT(name, _gradient_3_each_, (count) * n)

/* ---- The loops ------------------------------------------------------------------------------------------------ */

/* A long chain of operations on one vector leaves a core without room for the next iteration before this one is done.  So
 * four vectors are computed together, their operations in turns: GCC takes as many as the narrowest number of a loop
 * needs for one vector, and that is `narrow`, which nobody reads.  For this there are registers enough in AVX-512 only.
 * It computes elements from `start` on and leaves fewer than four vectors. */
#if defined(__AVX512F__) && defined(__GNUC__) && !defined(__clang__)
typedef uint8_t narrow_float;
typedef uint16_t narrow_double;
#define SHORT_CHAIN 1 /* the cost of an element up to which it does not pay */
#define FOUR_VECTORS(type, ...)                                                                                  \
    enum { together = 64 / sizeof(narrow_##type) };                                                              \
    for (; cost > SHORT_CHAIN && start + together <= n; start += together) {                                     \
        narrow_##type narrow[together];                                                                          \
        VECTORIZE for (int k = 0; k < together; k++)                                                             \
        {                                                                                                        \
            const ptrdiff_t i = start + k;                                                                       \
            __VA_ARGS__                                                                                          \
            narrow[k] = 0;                                                                                       \
        }                                                                                                        \
        __asm__ volatile("" : : "m"(narrow));                                                                    \
    }
#else
#define FOUR_VECTORS(type, ...)
#endif

/* Expands to
 *     static void function(<arrays>, ptrdiff_t n, const real *params)
 *     {   for every i { const real <parameters>, <inputs>, <terms>;  <stores> }   }
 * `mode` is EACH for parameters that are arrays, else NUMBERS(cost of an element).
 * No `restrict`: an output may be an input. */
#define LOOP(function, type, mode, ARRAYS, parameters, inputs, terms, ...)                                       \
    MAYBE_UNUSED static void function(ARRAYS(type), ptrdiff_t n, const type *params)                             \
    {                                                                                                            \
        typedef type real;                                                                                       \
        enum { each = IS_##mode, cost = COST_##mode };                                                           \
        ptrdiff_t start = 0;                                                                                     \
        (void)params;                                                                                            \
        BEFORE_##mode(parameters)                                                                                \
        FOUR_VECTORS(type, INSIDE_##mode(parameters) inputs terms __VA_ARGS__)                                   \
        VECTORIZE for (ptrdiff_t i = start; i < n; i++)                                                          \
        {                                                                                                        \
            INSIDE_##mode(parameters) inputs terms __VA_ARGS__                                                   \
        }                                                                                                        \
    }

#define IS_EACH 1
#define IS_NUMBERS(cost) 0
#define COST_EACH 0
#define COST_NUMBERS(cost) (cost)

/* Parameters that are numbers are read before the loop, since an output may be what they point to for all GCC knows. */
#define BEFORE_EACH(parameters)
#define BEFORE_NUMBERS(cost) READ_ONCE
#define READ_ONCE(parameters) enum { i = 0 }; parameters
#define INSIDE_EACH(parameters) parameters
#define INSIDE_NUMBERS(cost) ARE_READ
#define ARE_READ(parameters)

#define INPUT(variable) MAYBE_UNUSED const real variable = input_##variable[i];

#define MAP(T) const T *input_x, T *output_y
#define PRODUCT(T) const T *input_grad, const T *input_x, T *output_y
#define PRODUCT_FROM_OUTPUT(T) const T *input_grad, const T *input_y, T *output_y
#define PAIR(T) const T *input_x, T *output_y, T *output_d
#define GATED_MAP(T) const T *input_gate, const T *input_up, T *output_y
#define GATED_PRODUCT(T) const T *input_grad, const T *input_gate, const T *input_up, T *output_y
#define GATED_PAIR(T) const T *input_grad, const T *input_gate, const T *input_up, T *output_gate, T *output_up

/* What a kernel says of itself. */
#define ABOUT(name, cost, parameters)                                                                            \
    static const char *const name##_names[] = {NAMES_##parameters};                                              \
    static const double name##_defaults[] = {DEFAULTS_##parameters};                                             \
    enum { name##_cost = cost, name##_count = COUNT_##parameters };
#define ACTIVATION(name, width, cost, parameters, terms, forward, derivative, output) ABOUT(name, cost, parameters)
#include "activations.def"
#undef ACTIVATION
#define GATED_UNIT(name, activation)
#define GATED(name, width, cost, parameters, terms, forward, by_gate, by_up) ABOUT(name, cost, parameters)
#include "gated.def"
#undef GATED_UNIT
#undef GATED

/* Expands to the loops of one row for one element type, F being f32 or f64; those of `each` are for parameters that are
 * arrays, and what is not among them is composed. */
#define LOOPS(name, F, T, mode, parameters, terms, forward, derivative, output, ...)                             \
    SHARED_LOOPS(name, F, T, mode, parameters, terms, forward, derivative, output)                               \
    SHARED_LOOPS(name, each_##F, T, EACH, parameters, terms, forward, derivative, output)                        \
    LOOP(name##_value_and_derivative_##F, T, mode, PAIR, parameters, INPUT(x), terms,                            \
         const real result = (forward); const real slope = (derivative);                                         \
         output_y[i] = result; output_d[i] = slope;)                                                             \
    PARAMETER_LOOP(0, name, F, T, parameters, terms, __VA_ARGS__)                                                \
    PARAMETER_LOOP(1, name, F, T, parameters, terms, __VA_ARGS__)                                                \
    PARAMETER_LOOP(2, name, F, T, parameters, terms, __VA_ARGS__)                                                \
    PARAMETER_LOOP(3, name, F, T, parameters, terms, __VA_ARGS__)
#define SHARED_LOOPS(name, suffix, T, mode, parameters, terms, forward, derivative, output)                      \
    LOOP(name##_forward_##suffix, T, mode, MAP, parameters, INPUT(x), terms, output_y[i] = (forward);)           \
    LOOP(name##_derivative_##suffix, T, mode, MAP, parameters, INPUT(x), terms, output_y[i] = (derivative);)     \
    LOOP(name##_backward_##suffix, T, mode, PRODUCT, parameters, INPUT(grad) INPUT(x), terms,                    \
         output_y[i] = grad * (derivative);)                                                                     \
    LOOP(name##_backward_from_output_##suffix, T, mode, PRODUCT_FROM_OUTPUT, parameters,                         \
         INPUT(grad) INPUT(y), , output_y[i] = grad * (output);)
#define PARAMETER_LOOP(k, name, F, T, parameters, terms, ...)                                                    \
    LOOP(name##_gradient_##k##_each_##F, T, EACH, PRODUCT, parameters, INPUT(grad) INPUT(x), terms,              \
         output_y[i] = grad * GRADIENT(k, __VA_ARGS__);)

/* For float a NATIVE row has loops of its own, and a WIDE one goes through those for double. */
#define FLOAT_LOOPS_NATIVE(name, parameters, ...)                                                                \
    LOOPS(name, f32, float, NUMBERS(name##_cost), DECLARE_##parameters, __VA_ARGS__)
#define FLOAT_LOOPS_WIDE(name, parameters, ...) WIDE_LOOPS(name, COUNT_##parameters)
#define FLOAT_LOOPS_SINGLE FLOAT_LOOPS_WIDE

/* The cost in loops for any parameters: a SINGLE row has others for the defaults, and few take these. */
#define GENERAL_NATIVE(name) name##_cost
#define GENERAL_WIDE(name) name##_cost
#define GENERAL_SINGLE(name) 0

#define ACTIVATION(name, width, cost, parameters, terms, forward, derivative, output)                            \
    LOOPS(name, f64, double, NUMBERS(GENERAL_##width(name)), DECLARE_##parameters, terms, forward, derivative,   \
          EXPRESSION_##output, GRADIENTS_##parameters)                                                           \
    FLOAT_LOOPS_##width(name, parameters, terms, forward, derivative, EXPRESSION_##output, GRADIENTS_##parameters)
#include "activations.def"
#undef ACTIVATION

#define GATED_LOOPS(name, F, T, mode, parameters, inputs, terms, forward, by_gate, by_up, ...)                   \
    GATED_SHARED_LOOPS(name, F, T, mode, parameters, inputs, terms, forward, by_gate, by_up)                     \
    GATED_SHARED_LOOPS(name, each_##F, T, EACH, parameters, inputs, terms, forward, by_gate, by_up)              \
    GATED_PARAMETER_LOOP(0, name, F, T, parameters, inputs, terms, __VA_ARGS__)                                  \
    GATED_PARAMETER_LOOP(1, name, F, T, parameters, inputs, terms, __VA_ARGS__)                                  \
    GATED_PARAMETER_LOOP(2, name, F, T, parameters, inputs, terms, __VA_ARGS__)                                  \
    GATED_PARAMETER_LOOP(3, name, F, T, parameters, inputs, terms, __VA_ARGS__)
#define GATED_SHARED_LOOPS(name, suffix, T, mode, parameters, inputs, terms, forward, by_gate, by_up)            \
    LOOP(name##_forward_##suffix, T, mode, GATED_MAP, parameters, inputs, terms, output_y[i] = (forward);)       \
    LOOP(name##_backward_##suffix, T, mode, GATED_PAIR, parameters, INPUT(grad) inputs, terms,                   \
         const real gate_gradient = grad * (by_gate); const real up_gradient = grad * (by_up);                   \
         output_gate[i] = gate_gradient; output_up[i] = up_gradient;)
#define GATED_PARAMETER_LOOP(k, name, F, T, parameters, inputs, terms, ...)                                      \
    LOOP(name##_gradient_##k##_each_##F, T, EACH, GATED_PRODUCT, parameters, INPUT(grad) inputs, terms,          \
         output_y[i] = grad * GRADIENT(k, __VA_ARGS__);)

/* A unit: an activation of the gate, times what it lets up.  There is one of every row; gated.def picks those in use, and
 * the compiler leaves out the others unseen. */
#define UNIT_INPUTS MAYBE_UNUSED const real x = input_gate[i]; MAYBE_UNUSED const real up = input_up[i];
#define UNIT_LOOPS(name, F, T, mode, parameters, terms, forward, derivative, da, db, dc, dd)                     \
    GATED_LOOPS(name##_unit, F, T, mode, parameters, UNIT_INPUTS, terms, (forward) * up, (derivative) * up, forward, \
                (da) * up, (db) * up, (dc) * up, (dd) * up)
#define UNIT(name, F, T, mode, parameters, terms, forward, derivative, ...)                                      \
    UNIT_LOOPS(name, F, T, mode, parameters, terms, forward, derivative, __VA_ARGS__)
#define FLOAT_UNIT_NATIVE(name, parameters, ...)                                                                 \
    UNIT(name, f32, float, NUMBERS(name##_cost), DECLARE_##parameters, __VA_ARGS__)
#define FLOAT_UNIT_WIDE(name, parameters, ...) WIDE_GATED_LOOPS(name##_unit, COUNT_##parameters)
#define FLOAT_UNIT_SINGLE FLOAT_UNIT_WIDE
#define ACTIVATION(name, width, cost, parameters, terms, forward, derivative, output)                            \
    UNIT(name, f64, double, NUMBERS(name##_cost), DECLARE_##parameters, terms, forward, derivative,              \
         GRADIENTS_##parameters)                                                                                 \
    FLOAT_UNIT_##width(name, parameters, terms, forward, derivative, GRADIENTS_##parameters)
#include "activations.def"
#undef ACTIVATION

#define FLOAT_GATED_NATIVE(name, parameters, ...)                                                                \
    GATED_LOOPS(name, f32, float, NUMBERS(name##_cost), DECLARE_##parameters, INPUT(gate) INPUT(up), __VA_ARGS__)
#define FLOAT_GATED_WIDE(name, parameters, ...) WIDE_GATED_LOOPS(name, COUNT_##parameters)

#define GATED_UNIT(name, activation)
#define GATED(name, width, cost, parameters, terms, forward, by_gate, by_up)                                     \
    GATED_LOOPS(name, f64, double, NUMBERS(name##_cost), DECLARE_##parameters, INPUT(gate) INPUT(up), terms,     \
                forward, by_gate, by_up, GRADIENTS_##parameters)                                                 \
    FLOAT_GATED_##width(name, parameters, terms, forward, by_gate, by_up, GRADIENTS_##parameters)
#include "gated.def"
#undef GATED_UNIT
#undef GATED

/* ---- Rows of an axis ------------------------------------------------------------------------------------------ */

#include "rowmath.h"

/* What is in softmax.h: function, number of arrays, which of them has one number for a row. */
#define EACH_ROW_FUNCTION(WITH_PARAMETERS, WITHOUT_PARAMETERS, GENERAL)                                          \
    WITH_PARAMETERS(softmax_forward, 2, 0)                                                                       \
    WITH_PARAMETERS(softmax_backward, 3, 0)                                                                      \
    WITH_PARAMETERS(softmax_backward_from_output, 3, 0)                                                          \
    GENERAL(softmax_gradient_0, 3, 4)                                                                            \
    GENERAL(softmax_gradient_1, 3, 4)                                                                            \
    WITHOUT_PARAMETERS(log_softmax_forward, 2, 0)                                                                \
    WITHOUT_PARAMETERS(log_softmax_backward, 3, 0)                                                               \
    WITHOUT_PARAMETERS(log_softmax_backward_from_output, 3, 0)                                                   \
    WITHOUT_PARAMETERS(logsumexp_forward, 2, 2)                                                                  \
    WITHOUT_PARAMETERS(logsumexp_backward, 3, 1)                                                                 \
    WITHOUT_PARAMETERS(logmeanexp_forward, 2, 2)

#define T float
#define R double
#define WHOLE int64_t
#define F f32
#include "softmax.h"
#undef WHOLE
#undef R
#undef F
#ifdef V_FUSED
#define SINGLE
#define R float
#define WHOLE int32_t
#define F single
#include "softmax.h"
#undef WHOLE
#undef SINGLE
#undef R
#undef F
#endif
#undef T
#define T double
#define R double
#define WHOLE int64_t
#define F f64
#include "softmax.h"
#undef WHOLE
#undef T
#undef R
#undef F

/* Which of them takes rows of float that have neither temperature nor sink. */
#ifdef V_FUSED
#define SINGLE_OR(function, other) function##_default_single
#else
#define SINGLE_OR(function, other) other
#endif
#define DEFAULT_softmax_forward_f32 SINGLE_OR(softmax_forward, softmax_forward_general_f32)
#define DEFAULT_softmax_backward_f32 softmax_backward_general_f32
#define DEFAULT_softmax_backward_from_output_f32 softmax_backward_from_output_general_f32
#define DEFAULT_log_softmax_forward_f32 SINGLE_OR(log_softmax_forward, log_softmax_forward_default_f32)
#define DEFAULT_log_softmax_backward_f32 log_softmax_backward_default_f32
#define DEFAULT_log_softmax_backward_from_output_f32                                                             \
    SINGLE_OR(log_softmax_backward_from_output, log_softmax_backward_from_output_default_f32)
#define DEFAULT_logsumexp_forward_f32 logsumexp_forward_default_f32
#define DEFAULT_logsumexp_backward_f32 logsumexp_backward_default_f32
#define DEFAULT_logmeanexp_forward_f32 logmeanexp_forward_default_f32

#define ROWS_OR_ONE(function, count, T, F, defaults, choice)                                                     \
    static void function##_rows_##F(const pyactx_row_array *arrays, ptrdiff_t rows, ptrdiff_t n, const T *params) \
    {                                                                                                            \
        choice defaults(arrays, rows, n, params);                                                                \
    }                                                                                                            \
    static void function##_##F(ROW_DECLARATIONS_##count(T), T *y, ptrdiff_t n, const T *params)                  \
    {                                                                                                            \
        const pyactx_row_array arrays[] = {ROW_ARRAYS_##count(T), {y, 0, 1}};                                    \
        function##_rows_##F(arrays, 1, n, params);                                                               \
    }
#define ROW_DECLARATIONS_2(T) const T *x
#define ROW_DECLARATIONS_3(T) const T *grad, const T *x
#define ROW_ARRAYS_2(T) {(T *)x, 0, 1}
#define ROW_ARRAYS_3(T) {(T *)grad, 0, 1}, {(T *)x, 0, 1}
#define CHOICE(function)                                                                                         \
    if (params[0] != 1 || params[1] != -INFINITY)                                                                \
        function##_general_f32(arrays, rows, n, params);                                                         \
    else
#define WITH_PARAMETERS(function, count, numbers)                                                                \
    ROWS_OR_ONE(function, count, float, f32, DEFAULT_##function##_f32, CHOICE(function))                         \
    ROWS_OR_ONE(function, count, double, f64, function##_general_f64, )
#define WITHOUT_PARAMETERS(function, count, numbers)                                                             \
    ROWS_OR_ONE(function, count, float, f32, DEFAULT_##function##_f32, )                                         \
    ROWS_OR_ONE(function, count, double, f64, function##_default_f64, )
#define GENERAL(function, count, numbers)                                                                        \
    ROWS_OR_ONE(function, count, float, f32, function##_general_f32, )                                           \
    ROWS_OR_ONE(function, count, double, f64, function##_general_f64, )
EACH_ROW_FUNCTION(WITH_PARAMETERS, WITHOUT_PARAMETERS, GENERAL)

/* A mean differs from a sum by a constant. */
#define logmeanexp_backward_f32 logsumexp_backward_f32
#define logmeanexp_backward_f64 logsumexp_backward_f64
#define logmeanexp_backward_rows_f32 logsumexp_backward_rows_f32
#define logmeanexp_backward_rows_f64 logsumexp_backward_rows_f64

#define T float
#define F f32
#define ROWS 1
#include "rowwise.h"
#undef T
#undef F
#define T double
#define F f64
#include "rowwise.h"
#undef F
#undef ROWS
#define F each_f64
#define ROWS PYACTX_ROWS
#include "rowwise.h"
#undef T
#undef F
#undef ROWS

/* ---- Rows at the default parameters ----------------------------------------------------------------------------- */

/* Of float, the rows of single.def; of double, the same expressions as with any other parameters, and the same bits. */
#define DEFAULT_LOOPS(name, F, T, parameters, terms, forward, derivative, output)                                \
    LOOP(name##_default_forward_##F, T, NUMBERS(name##_cost), MAP, parameters, INPUT(x), terms,                  \
         output_y[i] = (forward);)                                                                               \
    LOOP(name##_default_derivative_##F, T, NUMBERS(name##_cost), MAP, parameters, INPUT(x), terms,               \
         output_y[i] = (derivative);)                                                                            \
    LOOP(name##_default_backward_##F, T, NUMBERS(name##_cost), PRODUCT, parameters, INPUT(grad) INPUT(x), terms, \
         output_y[i] = grad * (derivative);)                                                                     \
    LOOP(name##_default_backward_from_output_##F, T, NUMBERS(0), PRODUCT_FROM_OUTPUT, parameters,                \
         INPUT(grad) INPUT(y), , output_y[i] = grad * (output);)                                                 \
    LOOP(name##_default_value_and_derivative_##F, T, NUMBERS(name##_cost), PAIR, parameters, INPUT(x), terms,    \
         const real result = (forward); const real slope = (derivative);                                         \
         output_y[i] = result; output_d[i] = slope;)

/* Whether element i of n, each with parameters of its own, has the defaults. */
#define AT_DEFAULTS_OF(F, T)                                                                                     \
    V_INLINE int at_defaults_##F(const T *params, const double *defaults, int count, ptrdiff_t n, ptrdiff_t i)   \
    {                                                                                                            \
        int equal = 1;                                                                                           \
        for (int k = 0; k < count; k++)                                                                          \
            equal &= params[k * n + i] == (T)defaults[k];                                                        \
        return equal;                                                                                            \
    }
AT_DEFAULTS_OF(f32, float)
AT_DEFAULTS_OF(f64, double)

/* The loop of the defaults or the other; and where the parameters are arrays, so that n is at most PIECE, the result of
 * either. */
#define AT_DEFAULTS(name, operation, F, declarations, arguments)                                                 \
    MAYBE_UNUSED static void name##_chosen_##operation##_##F declarations                                        \
    {                                                                                                            \
        if (at_defaults_##F(params, name##_defaults, name##_count, 1, 0))                                        \
            name##_default_##operation##_##F arguments;                                                          \
        else                                                                                                     \
            name##_##operation##_##F arguments;                                                                  \
    }
#define AT_DEFAULTS_EACH(name, operation, declarations, inputs)                                                  \
    MAYBE_UNUSED static void name##_chosen_##operation##_each_f32 declarations                                   \
    {                                                                                                            \
        float single[PIECE];                                                                                     \
        name##_default_##operation##_f32(UNPACK inputs, single, n, NULL);                                        \
        name##_##operation##_each_f32(UNPACK inputs, y, n, params);                                              \
        for (ptrdiff_t i = 0; i < n; i++)                                                                        \
            y[i] = at_defaults_f32(params, name##_defaults, name##_count, n, i) ? single[i] : y[i];              \
    }
#define UNPACK(...) __VA_ARGS__
#define MAP_ARRAYS(T) (const T *x, T *y, ptrdiff_t n, const T *params)
#define PRODUCT_ARRAYS(T) (const T *g, const T *x, T *y, ptrdiff_t n, const T *params)
#define PAIR_ARRAYS(T) (const T *x, T *y, T *d, ptrdiff_t n, const T *params)
#define AT_DEFAULTS_ALL(name, F, T)                                                                              \
    AT_DEFAULTS(name, forward, F, MAP_ARRAYS(T), (x, y, n, params))                                              \
    AT_DEFAULTS(name, derivative, F, MAP_ARRAYS(T), (x, y, n, params))                                           \
    AT_DEFAULTS(name, backward, F, PRODUCT_ARRAYS(T), (g, x, y, n, params))                                      \
    AT_DEFAULTS(name, backward_from_output, F, PRODUCT_ARRAYS(T), (g, x, y, n, params))                          \
    AT_DEFAULTS(name, value_and_derivative, F, PAIR_ARRAYS(T), (x, y, d, n, params))
#define AT_DEFAULTS_EACH_ALL(name)                                                                               \
    AT_DEFAULTS_EACH(name, forward, MAP_ARRAYS(float), (x))                                                      \
    AT_DEFAULTS_EACH(name, derivative, MAP_ARRAYS(float), (x))                                                   \
    AT_DEFAULTS_EACH(name, backward, PRODUCT_ARRAYS(float), (g, x))                                              \
    AT_DEFAULTS_EACH(name, backward_from_output, PRODUCT_ARRAYS(float), (g, x))

/* ---- The kernel table ----------------------------------------------------------------------------------------- */

#define IF(condition, function) ((condition) ? (function) : NULL)

#define LIST(count, name, suffix) PASTE(LIST_, count)(name, suffix)
#define LIST_0(name, suffix) NULL
#define LIST_1(name, suffix) name##_gradient_0_##suffix
#define LIST_2(name, suffix) LIST_1(name, suffix), name##_gradient_1_##suffix
#define LIST_3(name, suffix) LIST_2(name, suffix), name##_gradient_2_##suffix
#define LIST_4(name, suffix) LIST_3(name, suffix), name##_gradient_3_##suffix

/* The gradients with respect to the parameters. */
#define GRADIENT_LIST(name, parameters, type, suffix, F)                                                         \
    MAYBE_UNUSED static type##_##F *const name##_gradients_##suffix[] = {LIST(COUNT_##parameters, name, suffix)};

#define HEAD(kernel, kind, name)                                                                                 \
    sizeof(pyactx_kernel), kind, name##_cost, name##_count, #kernel, name##_names, name##_defaults

#define NONE {0}, {0}, {0}, {0}

#define OPERATIONS(name, output, F) OPERATIONS_(name, output, F)
#define OPERATIONS_(name, output, F)                                                                             \
    {name##_forward_##F, name##_derivative_##F, name##_backward_##F,                                             \
     IF(HAS_##output, name##_backward_from_output_##F), name##_value_and_derivative_##F, NULL}
#define EACH_OPERATIONS(name, row, used, output, F) EACH_OPERATIONS_(name, row, used, output, F)
#define EACH_OPERATIONS_(name, row, used, output, F)                                                             \
    {IF(used, name##_forward_each_##F), IF(used, name##_derivative_each_##F), IF(used, name##_backward_each_##F), \
     IF((used) && HAS_##output, name##_backward_from_output_each_##F), NULL,                                     \
     IF(used, row##_gradients_each_##F)}

/* Without the instruction, those of the defaults would not be worth their size. */
#ifdef V_FUSED
#define SINGLE(name, terms, value, slope, output)                                                                \
    DEFAULT_LOOPS(name, f32, float, , terms, value, slope, EXPRESSION_##output)                                  \
    AT_DEFAULTS_ALL(name, f32, float) AT_DEFAULTS_EACH_ALL(name)
#include "single.def"
#undef SINGLE
#define DOUBLE_DEFAULTS_SINGLE(name, parameters, ...)                                                            \
    DEFAULT_LOOPS(name, f64, double, DECLARE_DEFAULTS_##parameters, __VA_ARGS__) AT_DEFAULTS_ALL(name, f64, double)
#define DOUBLE_DEFAULTS_WIDE(name, ...)
#define DOUBLE_DEFAULTS_NATIVE(name, ...)
#define ACTIVATION(name, width, cost, parameters, terms, forward, derivative, output)                            \
    DOUBLE_DEFAULTS_##width(name, parameters, terms, forward, derivative, EXPRESSION_##output)
#include "activations.def"
#undef ACTIVATION
#define NAME_SINGLE(name) name##_chosen
#else
#define NAME_SINGLE(name) name
#endif
#define NAME_WIDE(name) name
#define NAME_NATIVE(name) name

#define ACTIVATION(name, width, cost, parameters, terms, forward, derivative, output)                            \
    GRADIENT_LIST(name, parameters, pyactx_product, each_f32, f32)                                               \
    GRADIENT_LIST(name##_unit, parameters, pyactx_gated_gradient, each_f32, f32)                                 \
    GRADIENT_LIST(name, parameters, pyactx_product, each_f64, f64)                                               \
    GRADIENT_LIST(name##_unit, parameters, pyactx_gated_gradient, each_f64, f64)                                 \
    static const pyactx_kernel name##_kernel = {                                                                 \
        HEAD(name, PYACTX_ELEMENTWISE, name),                                                                    \
        OPERATIONS(NAME_##width(name), output, f32), OPERATIONS(NAME_##width(name), output, f64),                \
        EACH_OPERATIONS(NAME_##width(name), name, COUNT_##parameters > 0, output, f32),                          \
        EACH_OPERATIONS(name, name, COUNT_##parameters > 0, output, f64), NONE};
#include "activations.def"
#undef ACTIVATION

#define GATED_OPERATIONS(name, F) {name##_forward_##F, name##_backward_##F, NULL}
#define GATED_EACH_OPERATIONS(name, used, F)                                                                     \
    {IF(used, name##_forward_each_##F), IF(used, name##_backward_each_##F), IF(used, name##_gradients_each_##F)}
#define GATED_KERNEL(name, about, functions)                                                                     \
    static const pyactx_kernel name##_kernel = {                                                                 \
        HEAD(name, PYACTX_GATED, about), NONE,                                                                   \
        GATED_OPERATIONS(functions, f32), GATED_OPERATIONS(functions, f64),                                      \
        GATED_EACH_OPERATIONS(functions, about##_count > 0, f32),                                                \
        GATED_EACH_OPERATIONS(functions, about##_count > 0, f64)};

#define GATED_UNIT(name, activation) GATED_KERNEL(name, activation, activation##_unit)
#define GATED(name, width, cost, parameters, terms, forward, by_gate, by_up)                                     \
    GRADIENT_LIST(name, parameters, pyactx_gated_gradient, each_f32, f32)                                        \
    GRADIENT_LIST(name, parameters, pyactx_gated_gradient, each_f64, f64)                                        \
    GATED_KERNEL(name, name, name)
#include "gated.def"
#undef GATED_UNIT
#undef GATED

#define ROW_OPERATIONS(name, output, suffix)                                                                     \
    {name##_forward_##suffix, NULL, name##_backward_##suffix,                                                    \
     ROW_##output(name##_backward_from_output_##suffix), NULL, name##_gradients_##suffix}
#define ROW_FROM_OUTPUT(function) function
#define ROW_INPUT_ONLY(function) NULL

#define EACH_OF_MANY(name, output) {0}
#define EACH_OF_FEW(name, output) ROW_OPERATIONS(name, output, each_f64)
#define ROWS_OF_MANY(name, output, F)                                                                            \
    {name##_forward_rows_##F, name##_backward_rows_##F, ROW_##output(name##_backward_from_output_rows_##F),      \
     name##_gradients_rows_##F}
#define ROWS_OF_FEW(name, output, F) {0}
#define GRADIENTS_OF_MANY(name, parameters)                                                                      \
    GRADIENT_LIST(name, parameters, pyactx_rows, rows_f32, f32)                                                  \
    GRADIENT_LIST(name, parameters, pyactx_rows, rows_f64, f64)
#define GRADIENTS_OF_FEW(name, parameters) GRADIENT_LIST(name, parameters, pyactx_product, each_f64, f64)

#define AXISWISE(name, rows, kind, cost, parameters, output)                                                     \
    ABOUT(name, cost, parameters)                                                                                \
    GRADIENT_LIST(name, parameters, pyactx_product, f32, f32)                                                    \
    GRADIENT_LIST(name, parameters, pyactx_product, f64, f64)                                                    \
    GRADIENTS_OF_##rows(name, parameters)                                                                        \
    static const pyactx_kernel name##_kernel = {                                                                 \
        HEAD(name, kind, name), ROW_OPERATIONS(name, output, f32), ROW_OPERATIONS(name, output, f64), {0},       \
        EACH_OF_##rows(name, output), NONE, ROWS_OF_##rows(name, output, f32), ROWS_OF_##rows(name, output, f64)};
#include "axiswise.def"
#undef AXISWISE

static const pyactx_kernel *const kernels[] = {
#define ACTIVATION(name, ...) &name##_kernel,
#include "activations.def"
#undef ACTIVATION
#define GATED_UNIT(name, activation) &name##_kernel,
#define GATED(name, ...) &name##_kernel,
#include "gated.def"
#undef GATED_UNIT
#undef GATED
#define AXISWISE(name, ...) &name##_kernel,
#include "axiswise.def"
#undef AXISWISE
};
