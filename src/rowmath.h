/* The mathematics of rows, over numbers: what the kernels of rowwise.h have in common. */
#ifndef PYACTX_ROWMATH_H
#define PYACTX_ROWMATH_H

/* ---- Sums: their length does not show in their error, and their order depends on the length alone, so that they have the
 * same bits on every instruction set, for one row at a time and for several. ------------------------------------------ */

enum {
    LANES = 16,        /* partial sums and maxima: two vectors of the widest instruction set */
    CHUNK = 512,       /* elements between two additions to the partial sums; a multiple of LANES */
    ENTMAX_STEPS = 200, /* more than bisection alone takes */
    SIDE_BY_SIDE = 512, /* bytes of an element each of the rows that softmax and its kin take at once: eight cache lines */
    KEPT = 8192,       /* numbers of double that they keep on the stack */
    ROWS_CACHED = 2048, /* elements of rows one behind the other that they take at once */
    SHORT_LINE = 24,   /* elements of a row up to which several are laid beside each other */
    FEW_LINES = 6      /* rows, of which fewer are faster one by one */
};

/* How exponentials are taken, `general` in softmax.h: those of float in float; with temperature and sink; in double. */
enum { PLAIN, WITH_TEMPERATURE, IN_DOUBLE };

/* Rows as lines of numbers that are neighbours in memory (softmax.h): each row, or an element of each. */
typedef struct {
    ptrdiff_t lines;
    ptrdiff_t numbers; /* of a line */
    ptrdiff_t size;    /* and then up to the next multiple of LANES */
    int rows;          /* likewise, where they fill a line */
} row_shape;

V_INLINE row_shape row_shape_of(ptrdiff_t n, int rows, int beside)
{
    const ptrdiff_t numbers = beside ? rows : n, size = (numbers + LANES - 1) / LANES * LANES;
    return (row_shape){beside ? n : rows, numbers, size, beside ? (int)size : rows};
}

/* How many rows of which one is behind the other to take at once, lest each step wait for the one before: no more than
 * fit into the nearest cache. */
V_INLINE ptrdiff_t rows_at_once(ptrdiff_t n)
{
    return n > ROWS_CACHED / 2 ? 1 : n <= ROWS_CACHED / LANES ? LANES : ROWS_CACHED / n;
}

/* Asks for memory that the next group of rows will read, so that it arrives while this one is computed. */
V_INLINE void ask_for(const void *start, ptrdiff_t bytes)
{
#if defined(__GNUC__)
    for (ptrdiff_t i = 0; i < bytes; i += 64)
        __builtin_prefetch((const char *)start + i);
#else
    (void)start, (void)bytes;
#endif
}

/* Whether the elements of a row lie apart. */
V_INLINE int are_beside(const pyactx_row_array *arrays, int count)
{
    int beside = 0;
    for (int k = 0; k < count; k++)
        beside |= arrays[k].step != 1;
    return beside;
}

/* Adds x to *sum, and what that loses to *lost. */
V_INLINE void sum_add(double *sum, double *lost, double x)
{
    const double new = *sum + x;
    const double used = new - *sum;
    *lost += (*sum - (new - used)) + (x - used);
    *sum = new;
}

/* Partial sums: element i of a row belongs to lane i % LANES. */
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
        VECTORIZE for (int lane = 0; lane < LANES; lane++)
            sum_add(&total->sum[lane], &total->lost[lane], x[i + lane]);
}

/* A sum with what it has lost; an infinite one has lost inf - inf. */
V_INLINE double total_of(double sum, double lost)
{
    return v_where(lost == lost, sum + lost, sum);
}

static double row_sum_total(const row_sum *partial)
{
    double sum = 0, lost = 0;
    for (int lane = 0; lane < LANES; lane++) {
        sum_add(&sum, &lost, partial->sum[lane]);
        lost += partial->lost[lane];
    }
    return total_of(sum, lost);
}

/* ---- softmax --------------------------------------------------------------------------------------------------------- */

/* 1/t as scale + low */
typedef struct {
    double scale;
    double low;
} scaling;

V_INLINE scaling scaling_by_inverse(double t)
{
    const double scale = 1 / t;
    const double product = t * scale;
    return (scaling){scale, ((1 - product) - v_product_error(t, scale, product)) * scale};
}

/* What x scale - b has lost in `difference`; 0 where that is infinite. */
V_INLINE double scaled_low(double x, scaling by, double difference, double b)
{
    const double product = x * by.scale;
    const double b_used = product - difference;
    const double low = ((product - (difference + b_used)) + (b_used - b)) + v_product_error(x, by.scale, product) + x * by.low;
    return v_where(low == low, low, 0);
}

/* exp((x - origin) scale), however much of the difference and of the product is lost to rounding. */
V_INLINE double exponential(double x, double origin, scaling by)
{
    const double d = x - origin;
    const double used = x - d;
    const double d_low = (x - (d + used)) + (used - origin);
    const double product = d * by.scale;
    const double low = v_product_error(d, by.scale, product) + (d * by.low + d_low * by.scale);
    return v_exp_sum(product, v_where(low == low, low, 0)); /* low is NaN where d is infinite */
}

/* ---- sparsemax, entmax ----------------------------------------------------------------------------------------------- */

/* Raises a threshold to the next one and returns whether that is higher; NaN takes its place and ends the search. */
V_INLINE int raised(double *threshold, double next)
{
    const int higher = next > *threshold;
    *threshold = v_where(next <= *threshold, *threshold, next);
    return higher;
}

/* log(1 + a u)/a, the logarithm of p */
V_INLINE double entmax_logarithm(double u, double a)
{
    return v_where(a == 0, u, v_where(a * u <= -1, -INFINITY, v_log1p(a * u) / a));
}

/* p^exponent where p > 0, else 0 */
V_INLINE double entmax_power(double u, double a, double exponent)
{
    const double logarithm = entmax_logarithm(u, a);
    return v_where(logarithm == -INFINITY, 0, v_exp(logarithm * exponent));
}

/* d log(p) / da = (u/(1 + a u) - log(1 + a u)/a)/a = u² (-1/2 + 2/3 a u - 3/4 (a u)² ...) */
V_INLINE double entmax_slope(double u, double a)
{
    const double v = a * u;
    const double series = -0.5 + v * (2.0 / 3 + v * (-0.75 + v * (0.8 + v * (-5.0 / 6 + v * (6.0 / 7)))));
    return v_where(v_abs(v) < 0.01, u * u * series, (u / (1 + v) - v_log1p(v) / a) / a);
}

#endif
