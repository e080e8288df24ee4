/* The axis-wise kernels but for those of softmax.h.
 *
 * Include once for each element type T and number of ROWS: 1, a row of any length whose elements are taken several at a
 * time, or PYACTX_ROWS short rows side by side, one to a lane, always in double.  F ends the names.  A kernel is
 * written once, in terms of MAXIMUM, SUM, ELEMENTS and EACH_ROW; x[i] is the element at hand, j its place in the row,
 * and a number of the row is an array over [r].  Both forms do the same additions in the same order and have the same bits.
 *
 * Everything is evaluated in double: a float row is rounded once, at the end.
 */

#define NAME(function) PASTE(PASTE(function, _), F)
#define AT(array) ((double)array[i])

/* A function over a row of x, or of grad and x; y is a row or a number. */
#define ROW_MAP(function) static void NAME(function)(const T *x, T *y, ptrdiff_t n, const T *params)
#define ROW_PRODUCT(function)                                                                                    \
    static void NAME(function)(const T *grad, const T *x, T *y, ptrdiff_t n, const T *params)

#if ROWS == 1

#define EACH_ROW(...)                                                                                            \
    {                                                                                                            \
        enum { r = 0 };                                                                                          \
        __VA_ARGS__                                                                                              \
    }

/* The largest element.  NaN is skipped: it reaches every result through a sum. */
#define MAXIMUM(result, x) const double result[ROWS] = {NAME(row_maximum)(x, n)};

static double NAME(row_maximum)(const T *x, ptrdiff_t n)
{
    T lane[LANES];
    for (int j = 0; j < LANES; j++)
        lane[j] = -(T)INFINITY;
    ptrdiff_t i = 0;
    for (; i + LANES <= n; i += LANES)
        VECTORIZE for (int j = 0; j < LANES; j++)
            lane[j] = v_where(x[i + j] > lane[j], x[i + j], lane[j]);
    for (int j = 0; i + j < n; j++)
        lane[j] = v_where(x[i + j] > lane[j], x[i + j], lane[j]);
    T maximum = lane[0];
    for (int j = 1; j < LANES; j++)
        maximum = v_where(lane[j] > maximum, lane[j], maximum);
    return maximum;
}

#define SUM(result, expression)                                                                                  \
    double result[ROWS];                                                                                         \
    {                                                                                                            \
        enum { r = 0 };                                                                                          \
        row_sum partial = {{0}, {0}};                                                                            \
        for (ptrdiff_t start = 0; start < n; start += CHUNK) {                                                   \
            const ptrdiff_t m = n - start < CHUNK ? n - start : CHUNK;                                           \
            double values[CHUNK];                                                                                \
            VECTORIZE for (ptrdiff_t k = 0; k < m; k++)                                                          \
            {                                                                                                    \
                const ptrdiff_t i = start + k;                                                                   \
                values[k] = (expression);                                                                        \
            }                                                                                                    \
            row_sum_add(&partial, values, m);                                                                    \
        }                                                                                                        \
        result[r] = row_sum_total(&partial);                                                                  \
    }

#define ELEMENTS(...)                                                                                            \
    {                                                                                                            \
        enum { r = 0 };                                                                                          \
        VECTORIZE for (ptrdiff_t i = 0; i < n; i++)                                                              \
        {                                                                                                        \
            MAYBE_UNUSED const ptrdiff_t j = i;                                                                  \
            __VA_ARGS__                                                                                          \
        }                                                                                                        \
    }

#else

#define EACH_ROW(...) VECTORIZE for (int r = 0; r < ROWS; r++) { __VA_ARGS__ }

#define MAXIMUM(result, x)                                                                                       \
    double result[ROWS];                                                                                         \
    EACH_ROW(result[r] = -INFINITY;)                                                                             \
    ELEMENTS(result[r] = v_where(x[i] > result[r], x[i], result[r]);)

#define SUM(result, expression)                                                                                  \
    double result[ROWS];                                                                                         \
    {                                                                                                            \
        double partial[LANES][ROWS], lost[LANES][ROWS], total_lost[ROWS];                                        \
        const int lanes = n < LANES ? (int)n : LANES;                                                            \
        for (int lane = 0; lane < lanes; lane++)                                                                 \
            EACH_ROW(partial[lane][r] = lost[lane][r] = 0;)                                                      \
        ELEMENTS(sum_add(&partial[j % LANES][r], &lost[j % LANES][r], (expression));)                            \
        EACH_ROW(result[r] = total_lost[r] = 0;)                                                                 \
        for (int lane = 0; lane < lanes; lane++)                                                                 \
            EACH_ROW(sum_add(&result[r], &total_lost[r], partial[lane][r]); total_lost[r] += lost[lane][r];)     \
        EACH_ROW(result[r] = total_of(result[r], total_lost[r]);)                                                \
    }

#define ELEMENTS(...)                                                                                            \
    for (ptrdiff_t j = 0; j < n; j++)                                                                            \
        VECTORIZE for (int r = 0; r < ROWS; r++)                                                                 \
        {                                                                                                        \
            const ptrdiff_t i = j * ROWS + r;                                                                    \
            __VA_ARGS__                                                                                          \
        }

#endif

/* ---- hardmax: 1 at the first maximum ----------------------------------------------------------------------------- */

#define NAN_OF_ROW(x) SUM(nan, v_where(x[i] == x[i], 0, AT(x)))

ROW_MAP(hardmax_forward)
{
    (void)params;
    MAXIMUM(maximum, x)
    NAN_OF_ROW(x)
    ptrdiff_t first[ROWS];
    for (int r = 0; r < ROWS; r++)
        for (first[r] = 0; first[r] < n && x[first[r] * ROWS + r] != maximum[r];)
            first[r]++;
    ELEMENTS(y[i] = (T)(v_where(j == first[r], 1, 0) + nan[r]);)
}

ROW_PRODUCT(hardmax_backward)
{
    (void)params, (void)grad;
    NAN_OF_ROW(x)
    ELEMENTS(y[i] = (T)nan[r];)
}

ROW_PRODUCT(hardmax_backward_from_output)
{
    NAME(hardmax_backward)(grad, x, y, n, params);
}

/* ---- Projections onto the simplex: sparsemax, entmax ------------------------------------------------------------- */

/* All of them have the Jacobian diag(s) - s sᵀ/Σs, with s = p^(2 - alpha) where p > 0, else 0. */
#define SIMPLEX_BACKWARD(s)                                                                                      \
    SUM(weight, s)                                                                                               \
    SUM(product, v_where((s) == 0, 0, (s) * AT(grad)))                                                           \
    double outside[ROWS]; /* 0, or the NaN of the row */                                                         \
    EACH_ROW(outside[r] = v_where(weight[r] == weight[r], 0, weight[r]);)                                        \
    ELEMENTS(y[i] = (T)v_where((s) == 0, outside[r], (s) * (grad[i] - product[r] / weight[r]));)

/* max(d - threshold, 0), NaN staying */
#define EXCESS(d) v_where((d) <= threshold[r], 0, (d) - threshold[r])

/* x relative to the maximum; a row without a finite one is NaN. */
#define BEHIND(x) (AT(x) - maximum[r])

/* The threshold at which the excesses sum to 1: that of the present support, which shrinks until it is right.  Once right
 * it stays, so that rows side by side may go on. */
static void NAME(sparsemax_threshold)(const T *x, ptrdiff_t n, double *largest, double *threshold)
{
    MAXIMUM(maximum, x)
    EACH_ROW(largest[r] = maximum[r]; threshold[r] = -1;)
    for (int moved = 1; moved;) {
        SUM(size, v_where(BEHIND(x) <= threshold[r], 0, 1))
        SUM(sum, v_where(BEHIND(x) <= threshold[r], 0, BEHIND(x)))
        moved = 0;
        for (int r = 0; r < ROWS; r++)
            moved |= raised(&threshold[r], (sum[r] - 1) / size[r]);
    }
}

#define SPARSEMAX(x)                                                                                             \
    (void)params;                                                                                                \
    double maximum[ROWS], threshold[ROWS];                                                                       \
    NAME(sparsemax_threshold)(x, n, maximum, threshold);

ROW_MAP(sparsemax_forward)
{
    SPARSEMAX(x)
    ELEMENTS(y[i] = (T)EXCESS(BEHIND(x));)
}

ROW_PRODUCT(sparsemax_backward)
{
    SPARSEMAX(x)
    SIMPLEX_BACKWARD(v_where(BEHIND(x) <= threshold[r], 0, v_where(BEHIND(x) > threshold[r], 1, threshold[r])))
}

ROW_PRODUCT(sparsemax_backward_from_output)
{
    (void)params;
    SIMPLEX_BACKWARD(v_where(x[i] <= 0, 0, v_where(x[i] > 0, 1, AT(x))))
}

/* The threshold at which the squares of the excesses of x/2 sum to 1, by Newton's method: the sum is convex, and the first
 * threshold lies below the root, so that the steps go upwards until rounding ends them. */
static void NAME(entmax15_threshold)(const T *x, ptrdiff_t n, double *largest, double *threshold)
{
    MAXIMUM(maximum, x)
    EACH_ROW(largest[r] = maximum[r]; threshold[r] = -1;)
    for (int moved = 1; moved;) {
        SUM(squares, v_square(EXCESS(0.5 * BEHIND(x))))
        SUM(sum, EXCESS(0.5 * BEHIND(x)))
        moved = 0;
        for (int r = 0; r < ROWS; r++)
            moved |= raised(&threshold[r], threshold[r] + (squares[r] - 1) / (2 * sum[r]));
    }
}

#define ENTMAX15(x)                                                                                              \
    (void)params;                                                                                                \
    double maximum[ROWS], threshold[ROWS];                                                                       \
    NAME(entmax15_threshold)(x, n, maximum, threshold);

ROW_MAP(entmax15_forward)
{
    ENTMAX15(x)
    ELEMENTS(y[i] = (T)v_square(EXCESS(0.5 * BEHIND(x)));)
}

ROW_PRODUCT(entmax15_backward)
{
    ENTMAX15(x)
    SIMPLEX_BACKWARD(EXCESS(0.5 * BEHIND(x)))
}

ROW_PRODUCT(entmax15_backward_from_output)
{
    (void)params;
    SIMPLEX_BACKWARD(v_where(x[i] <= 0, 0, v_sqrt(AT(x))))
}

/* p = (1 + a u)^(1/a) with a = alpha - 1 and u = x - maximum - threshold: exp(u) in the limit a = 0.  The threshold lies
 * between 0, where the largest p is 1, and the point where it is 1/n; Newton's steps, which bisection replaces where they
 * leave these bounds (the sum is convex only up to alpha = 2). */
static void NAME(entmax_threshold)(const T *x, ptrdiff_t n, double a, double *largest, double *threshold, double *total)
{
    const double log_n = v_log((double)n);
    double low[ROWS], high[ROWS];
    MAXIMUM(maximum, x)
    EACH_ROW(largest[r] = maximum[r]; threshold[r] = low[r] = 0;
             high[r] = v_where(a == 0, log_n, -v_expm1(-a * log_n) / a);)
    for (int moved = 1, step = 0; moved && step < ENTMAX_STEPS; step++) {
        SUM(sum, entmax_power(BEHIND(x) - threshold[r], a, 1))
        SUM(slope, entmax_power(BEHIND(x) - threshold[r], a, 1 - a))
        moved = 0;
        for (int r = 0; r < ROWS; r++) {
            const double excess = sum[r] - 1;
            total[r] = sum[r];
            if (v_abs(excess) > 0x1p-51) {
                *(excess > 0 ? &low[r] : &high[r]) = threshold[r];
                const double newton = threshold[r] + excess / slope[r];
                const double next = newton > low[r] && newton < high[r] ? newton : 0.5 * (low[r] + high[r]);
                moved |= next != threshold[r];
                threshold[r] = next;
            }
        }
    }
}

#define ENTMAX(x)                                                                                                \
    const double a = params[0] - 1;                                                                              \
    double maximum[ROWS], threshold[ROWS], total[ROWS];                                                          \
    NAME(entmax_threshold)(x, n, a, maximum, threshold, total);

ROW_MAP(entmax_forward)
{
    ENTMAX(x)
    ELEMENTS(y[i] = (T)(entmax_power(BEHIND(x) - threshold[r], a, 1) / total[r]);)
}

ROW_PRODUCT(entmax_backward)
{
    ENTMAX(x)
    (void)total;
    SIMPLEX_BACKWARD(entmax_power(BEHIND(x) - threshold[r], a, 1 - a))
}

ROW_PRODUCT(entmax_backward_from_output)
{
    const double a = params[0] - 1;
    SIMPLEX_BACKWARD(v_where(x[i] <= 0, 0, v_exp((1 - a) * v_log(x[i]))))
}

/* By alpha: p d log(p)/da, less the movement of the threshold that keeps the sum at 1 */
ROW_PRODUCT(entmax_gradient_0)
{
    ENTMAX(x)
    (void)total;
#define POWER(exponent) entmax_power(BEHIND(x) - threshold[r], a, exponent)
#define CHANGE v_where(POWER(1) == 0, 0, POWER(1) * entmax_slope(BEHIND(x) - threshold[r], a))
    SUM(weight, POWER(1 - a))
    SUM(product, POWER(1 - a) * AT(grad))
    SUM(change, CHANGE)
    SUM(gradient, CHANGE * AT(grad))
    EACH_ROW(y[r] = (T)(gradient[r] - product[r] / weight[r] * change[r]);)
#undef POWER
#undef CHANGE
}

#undef NAME
#undef AT
#undef ROW_MAP
#undef ROW_PRODUCT
#undef EACH_ROW
#undef MAXIMUM
#undef SUM
#undef ELEMENTS
#undef NAN_OF_ROW
#undef SIMPLEX_BACKWARD
#undef EXCESS
#undef BEHIND
#undef SPARSEMAX
#undef ENTMAX15
#undef ENTMAX
