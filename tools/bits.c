/* Prints a hash of the bits of what each operation of each kernel makes of a sweep of inputs.  bits.py compares them.
 *
 *     bits STEP [PATTERN]...      a line for each: kernel, operation, dtype, hash; all, or those that match a pattern
 *     bits STEP -v [PATTERN]...   and before it a line for each element: inputs = results, parameters
 *
 * Elementwise and gated kernels get what is special, one float32 bit pattern in STEP and as many doubles; those of rows
 * get rows of many lengths; each with its defaults, with other numbers and with arrays for parameters, these from one
 * pattern in 256 at most.  The inputs are made of bits, so that they are the same on every machine.
 */
#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "cpu.h"
#include "work.h"

extern const pyactx_kernel *const *const bits_kernels; /* those of one instruction set */
extern const size_t bits_kernel_count;
extern const int bits_level; /* what the processor has to have, as in cpu.h */

enum setting { DEFAULTS, NUMBERS, ARRAYS }; /* what the parameters are */

static const ptrdiff_t LONG_ROWS[] = {127, 128, 129, 255, 256, 257, 1000}; /* around the chunks of the sums */
enum {
    LONG_LENGTHS = sizeof LONG_ROWS / sizeof LONG_ROWS[0],
    ROWS = PYACTX_ROWS + FEW_ROWS - 1, /* short ones are computed side by side, the last of them one by one */
    MOST = ROWS * 1000
};

typedef union {
    float f32[MOST];
    double f64[MOST];
} array;

static array arrays[MAX_ARRAYS], params;
static uint64_t step, spacing, hash; /* spacing: the step with the parameters at hand */
static int verbose;

/* ---- Inputs -------------------------------------------------------------------------------------------------- */

static const double SPECIAL[] = {
    0,        0x1p-149,  0x1p-127,  0x1p-126,  0x1.fffffep127,         0x1p-24, 0.25, 0.5, 1,        1.5,
    2,        0x1p-1074, 0x1p-1023, 0x1p-1022, 0x1.fffffffffffffp1023, 0x1p-53, 3,    6,   INFINITY, NAN};
enum { SPECIALS = 2 * sizeof SPECIAL / sizeof SPECIAL[0] };

static double special(uint64_t i)
{
    const double x = SPECIAL[i / 2 % (SPECIALS / 2)];
    return i % 2 ? -x : x;
}

static double double_of(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static float float_of(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Number i of one of several random sequences (splitmix64). */
static uint64_t random_bits(uint64_t sequence, uint64_t i)
{
    uint64_t bits = (sequence << 40) + i * 0x9e3779b97f4a7c15;
    bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9;
    bits = (bits ^ (bits >> 27)) * 0x94d049bb133111eb;
    return bits ^ (bits >> 31);
}

/* A number of the sign and the digits of the bits, in size from 2^lowest to 2^(lowest + 16). */
static double usual(uint64_t bits, int lowest)
{
    return double_of((bits & 0x800fffffffffffff) | (1023 + lowest + ((bits >> 52) & 15)) << 52);
}

static double usual_or_special(uint64_t bits, int lowest)
{
    return bits % 32 ? usual(bits, lowest) : special(bits >> 8);
}

static uint64_t sweep_size(void)
{
    return SPECIALS + (((uint64_t)1 << 32) + spacing - 1) / spacing;
}

/* Element i of the sweep.  Of doubles every other one is of any size. */
static double swept(uint64_t i, int is_double)
{
    if (i < SPECIALS)
        return special(i);
    if (!is_double)
        return float_of((uint32_t)((i - SPECIALS) * spacing));
    const uint64_t bits = random_bits(0, i);
    return i % 2 ? double_of(bits) : usual(bits, -10);
}

/* Element j of row i: there are rows with several maxima, with logits far ahead, with masked elements, with what is
 * special, and of several sizes. */
static double element_of_row(uint64_t i, uint64_t j)
{
    const uint64_t bits = random_bits(1, i << 16 | j);
    switch (i % 8) {
    case 0:
        return (double)(bits % 5);
    case 1:
        return usual(bits, bits % 16 ? -12 : -2);
    case 2:
        return bits % 4 ? usual(bits, -12) : -INFINITY;
    case 3:
        return usual_or_special(bits, -12);
    default:
        return usual(bits, -28 + 4 * (int)(i % 8));
    }
}

/* Value i of parameter k, which more often is positive than negative. */
static double parameter(const pyactx_kernel *kernel, uint32_t k, enum setting setting, uint64_t i)
{
    const uint64_t bits = random_bits(2 + k, i);
    const double given = kernel->parameter_defaults[k];
    if (setting != DEFAULTS && bits % 8)
        return usual(bits % 4 ? bits >> 1 : bits, -10);
    return given == given ? given : 0.25; /* NaN stands for a required one */
}

/* ---- Results ------------------------------------------------------------------------------------------------- */

static void put(array *to, ptrdiff_t i, int is_double, double x)
{
    if (is_double)
        to->f64[i] = x;
    else
        to->f32[i] = (float)x;
}

/* NaN has the same bits wherever it comes from. */
static double get(const array *from, ptrdiff_t i, int is_double)
{
    const double x = is_double ? from->f64[i] : from->f32[i];
    return x == x ? x : double_of(0x7ff8000000000000);
}

static void add_to_hash(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    hash = (hash ^ bits) * 0x9e3779b97f4a7c15;
    hash ^= hash >> 32;
}

/* Computes n elements in units, and adds the results to the hash. */
static void compute(work *w, ptrdiff_t n, ptrdiff_t unit)
{
    const int inputs = operation_inputs(w->kernel, w->operation);
    const int count = inputs + operation_outputs(w->kernel, w->operation);
    w->n = n;
    w->unit = unit;
    w->units = (n + unit - 1) / unit;
    compute_units(w, 0, w->units);
    for (int k = inputs; k < count; k++)
        for (ptrdiff_t i = 0; i < (is_number(w->kernel, w->operation, k) ? w->units : n); i++)
            add_to_hash(get(&arrays[k], i, w->is_double));
    for (ptrdiff_t i = 0; verbose && i < n; i++) {
        for (int k = 0; k < count; k++)
            printf("%s%a", k == 0 ? "" : k == inputs ? " = " : " ",
                   get(&arrays[k], is_number(w->kernel, w->operation, k) ? i / unit : i, w->is_double));
        for (uint32_t k = 0; k < w->kernel->n_params; k++)
            printf(", %s %a", w->kernel->parameter_names[k], get(&params, w->each ? k * n + i : k, w->is_double));
        printf("\n");
    }
}

/* For n elements or, where n is 1, for all. */
static void set_parameters(const work *w, enum setting setting, uint64_t start, ptrdiff_t n)
{
    for (uint32_t k = 0; k < w->kernel->n_params; k++)
        for (ptrdiff_t i = 0; i < n; i++)
            put(&params, k * n + i, w->is_double, parameter(w->kernel, k, setting, start + i));
}

static void sweep_elements(work *w, enum setting setting)
{
    const int inputs = operation_inputs(w->kernel, w->operation);
    const int x = w->kernel->kind == PYACTX_GATED ? inputs - 2 : inputs - 1;
    const uint64_t size = sweep_size();
    for (uint64_t start = 0; start < size; start += BUFFER) {
        const ptrdiff_t n = size - start < BUFFER ? (ptrdiff_t)(size - start) : BUFFER;
        for (int k = 0; k < inputs; k++)
            for (ptrdiff_t i = 0; i < n; i++)
                put(&arrays[k], i, w->is_double, k == x ? swept(start + i, w->is_double)
                                                        : usual_or_special(random_bits(10 + k, start + i), -10));
        set_parameters(w, setting, start, w->each ? n : 1);
        compute(w, n, BUFFER);
    }
}

static void sweep_rows(work *w, enum setting setting)
{
    const int inputs = operation_inputs(w->kernel, w->operation);
    const uint64_t times = 1 + 32768 / step;
    uint64_t row = 0;
    for (int i = 0; i <= SHORT_ROW + LONG_LENGTHS; i++) {
        const ptrdiff_t length = i <= SHORT_ROW ? i + 1 : LONG_ROWS[i - SHORT_ROW - 1];
        for (uint64_t time = 0; time < times; time++, row += ROWS) {
            for (int k = 0; k < inputs; k++)
                for (ptrdiff_t j = 0; j < ROWS * (is_number(w->kernel, w->operation, k) ? 1 : length); j++)
                    put(&arrays[k], j, w->is_double, k == inputs - 1 ? element_of_row(row + j / length, j % length)
                                                                     : usual(random_bits(10, row << 16 | j), -10));
            set_parameters(w, setting, row, 1);
            compute(w, ROWS * length, length);
        }
    }
}

static void sweep(const pyactx_kernel *kernel, enum operation operation, int k, int is_double)
{
    hash = 0;
    for (int setting = DEFAULTS; setting <= (kernel->n_params ? ARRAYS : DEFAULTS); setting++) {
        work w = {.kernel = kernel, .operation = operation, .parameter = k, .is_double = is_double,
                  .each = setting == ARRAYS, .params = &params};
        spacing = setting == DEFAULTS || step > 256 ? step : 256;
        for (int a = 0; a < MAX_ARRAYS; a++)
            w.arrays[a] = &arrays[a];
        if (w.each ? has_rows(kernel) || !has_each(kernel, operation) : needs_each(kernel, operation))
            continue;
        if (has_rows(kernel))
            sweep_rows(&w, setting);
        else
            sweep_elements(&w, setting);
    }
}

/* ---- The kernels --------------------------------------------------------------------------------------------- */

/* An operation, where the kernel has it and it is wanted; k is the parameter of a gradient. */
static void show(const pyactx_kernel *kernel, enum operation operation, int k, char **patterns)
{
    static const char *const names[] = {"forward",  "derivative", "backward", "backward_from_output",
                                        "value_and_derivative", "gradient_of_"};
    const char *parameter_name = operation == PARAMETER_GRADIENT ? kernel->parameter_names[k] : "";
    for (int is_double = 0; has_operation(kernel, operation) && is_double < 2; is_double++) {
        char title[200];
        snprintf(title, sizeof title, "%s %s%s %s", kernel->name, names[operation], parameter_name,
                 is_double ? "float64" : "float32");
        int wanted = *patterns == NULL;
        for (char **pattern = patterns; *pattern; pattern++)
            wanted |= fnmatch(*pattern, title, 0) == 0;
        if (!wanted)
            continue;
        sweep(kernel, operation, k, is_double);
        printf("%s %016" PRIx64 "\n", title, hash);
        fflush(stdout);
    }
}

int main(int argc, char **argv)
{
    step = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
    if (step == 0) {
        fprintf(stderr, "bits: needs the step of the sweep, a number from 1 on\n");
        return 2;
    }
    if (cpu_level() < bits_level) {
        fprintf(stderr, "bits: this processor does not have the instruction set\n");
        return 3;
    }
    verbose = argc > 2 && strcmp(argv[2], "-v") == 0;
    for (size_t i = 0; i < bits_kernel_count; i++)
        for (int operation = FORWARD; operation <= PARAMETER_GRADIENT; operation++)
            for (uint32_t k = 0; k < (operation == PARAMETER_GRADIENT ? bits_kernels[i]->n_params : 1); k++)
                show(bits_kernels[i], operation, (int)k, argv + 2 + verbose);
    return 0;
}
