/* softmax and its kin: kernels over rows with one exponential for each element.
 *
 * A kernel takes one row whose elements are neighbours in memory, or up to SIDE_BY_SIDE rows of which each element has
 * that of the next row for its neighbour.  Either way it goes through lines of numbers that are neighbours, LANES at a
 * time: the one row, or an element of each row.  `beside` is which, a constant wherever these functions are expanded.
 *
 * Element j of a row goes to partial sum j % LANES, and these are added in halves: the bits do not depend on how a row
 * lies.
 *
 * Exponentials of up to KEPT elements are kept for the last pass, others are computed anew in it: kernels do not
 * allocate, and the output may be an input.
 *
 * Include once for each element type T and type R of the exponentials and sums; F ends the names.  Of the type T both
 * are pairs of numbers, which lose nothing that shows; float in double takes one number (PAIRS).
 */

#define NAME(function) PASTE(PASTE(function, _), F)
#define PAIRS (sizeof(T) == sizeof(R))
#define IS_SINGLE (sizeof(R) == sizeof(float))

/* ---- Lines ------------------------------------------------------------------------------------------------------- */

#define LINE(...)                                                                                                \
    VECTORIZE for (int l = 0; l < LANES; l++)                                                                    \
    {                                                                                                            \
        __VA_ARGS__                                                                                              \
    }

/* Every LANES numbers of a line, and those that are left of it: of the rows from [block] on, with partial sums from
 * [lane] on.  `place` is theirs among all numbers. */
#define EACH_BLOCK(...)                                                                                          \
    for (ptrdiff_t i = 0; i < s.lines; i++) {                                                                    \
        ptrdiff_t b = 0;                                                                                         \
        for (; b < s.blocks; b++) {                                                                              \
            enum { width = LANES };                                                                              \
            BLOCK_PLACES __VA_ARGS__                                                                             \
        }                                                                                                        \
        if (s.rest) {                                                                                            \
            const int width = s.rest;                                                                            \
            BLOCK_PLACES __VA_ARGS__                                                                             \
        }                                                                                                        \
    }
#define BLOCK_PLACES                                                                                             \
    MAYBE_UNUSED const ptrdiff_t block = beside ? b * LANES : 0;                                                 \
    MAYBE_UNUSED const ptrdiff_t lane = beside ? i % LANES * SIDE_BY_SIDE + block : 0;                           \
    MAYBE_UNUSED const ptrdiff_t place = i * s.size + b * LANES;
#define AT(array) ((array) + i * array##_step + b * LANES)

/* Every row, or the one; what is known of it afterwards holds for all numbers of a line. */
#define EACH_ROW(...)                                                                                            \
    if (beside) {                                                                                                \
        for (int block = 0; block < s.rows; block += LANES)                                                      \
            VECTORIZE for (int r = block; r < block + LANES; r++) { __VA_ARGS__ }                                \
    } else {                                                                                                     \
        enum { r = 0 };                                                                                          \
        __VA_ARGS__                                                                                              \
    }
#define SPREAD(numbers)                                                                                          \
    if (!beside)                                                                                                 \
        LINE((numbers)[l] = (numbers)[0];)

/* A number of a line, `fill` beyond its width. */
#define NUMBER(line, fill) (l < width ? (line)[l] : (T)(fill))

#define WRITE(array, number)                                                                                     \
    LINE(const T rounded = (number); if (l < width) (array)[l] = rounded;)

/* The largest elements.  NaN is skipped: it reaches every result through a sum. */
V_INLINE void NAME(maxima)(const T *x, ptrdiff_t x_step, row_shape s, T *maximum, const int beside)
{
    for (int r = 0; r < s.rows; r++)
        maximum[r] = -(T)INFINITY;
    if (beside) {
        EACH_BLOCK(const T *const line = AT(x);
                  LINE(const T number = NUMBER(line, -INFINITY);
                        maximum[block + l] = v_where(number > maximum[block + l], number, maximum[block + l]);))
        return;
    }
    T wide[4 * LANES];
    for (int l = 0; l < 4 * LANES; l++)
        wide[l] = -(T)INFINITY;
    ptrdiff_t b = 0;
    for (; b + 4 <= s.blocks; b += 4)
        VECTORIZE for (int l = 0; l < 4 * LANES; l++)
            wide[l] = v_where(x[b * LANES + l] > wide[l], x[b * LANES + l], wide[l]);
    for (; b < s.blocks; b++)
        LINE(wide[l] = v_where(x[b * LANES + l] > wide[l], x[b * LANES + l], wide[l]);)
    if (s.rest) {
        const int width = s.rest;
        const T *const line = x + b * LANES;
        LINE(const T number = NUMBER(line, -INFINITY); wide[l] = v_where(number > wide[l], number, wide[l]);)
    }
    for (int half = 2; half > 0; half /= 2)
        for (int part = 0; part < half; part++)
            LINE(const T other = wide[(part + half) * LANES + l];
                 wide[part * LANES + l] = v_where(other > wide[part * LANES + l], other, wide[part * LANES + l]);)
#define HALVE(half)                                                                                              \
    VECTORIZE for (int l = 0; l < half; l++)                                                                     \
        wide[l] = v_where(wide[l + half] > wide[l], wide[l + half], wide[l]);
    HALVE(8) HALVE(4) HALVE(2) HALVE(1)
#undef HALVE
    LINE(maximum[l] = wide[0];)
}

/* ---- Sums -------------------------------------------------------------------------------------------------------- */

typedef struct {
    R sum[LANES * SIDE_BY_SIDE];
    R lost[PAIRS ? LANES * SIDE_BY_SIDE : 1];
} NAME(partial_sums);

/* Adds high + low to a sum and what it has lost; only pairs have a low part, and lose what would show. */
#define ADD(sum, lost, high, low)                                                                                \
    {                                                                                                            \
        const R before = (sum), term = (high), after = before + term, used = after - before;                     \
        if (PAIRS)                                                                                               \
            (lost) += ((before - (after - used)) + (term - used)) + (low);                                       \
        (sum) = after;                                                                                           \
    }

/* Adds the numbers of some blocks of one row: of arrays that are nothing else, so that the compiler keeps the sums in
 * registers. */
V_INLINE void NAME(add_blocks)(R *sum, R *lost, const R *added, const R *rest, ptrdiff_t blocks)
{
    for (ptrdiff_t b = 0; b < blocks; b++)
        LINE(ADD(sum[l], lost[l], added[b * LANES + l], rest[b * LANES * PAIRS + l * PAIRS]))
}

/* Sums of all blocks: `...` sets added[0] and rest[0] and, where `both`, added[1] and rest[1]. */
#define SUM_BLOCKS(first_sum, second_sum, both, ...)                                                             \
    if (beside) {                                                                                                \
        for (int to = 0; to < LANES * SIDE_BY_SIDE; to += SIDE_BY_SIDE)                                          \
            for (int r = 0; r < s.rows; r++) {                                                                   \
                (first_sum).sum[to + r] = (first_sum).lost[(to + r) * PAIRS] = 0;                                \
                if (both)                                                                                        \
                    (second_sum).sum[to + r] = (second_sum).lost[(to + r) * PAIRS] = 0;                          \
            }                                                                                                    \
        EACH_BLOCK(R added[2][LANES]; R rest[2][LANES]; __VA_ARGS__                                              \
                   LINE(ADD((first_sum).sum[lane + l], (first_sum).lost[(lane + l) * PAIRS], added[0][l], rest[0][l])) \
                   if (both)                                                                                     \
                       LINE(ADD((second_sum).sum[lane + l], (second_sum).lost[(lane + l) * PAIRS], added[1][l],  \
                                rest[1][l])))                                                                    \
    } else {                                                                                                     \
        R sum_0[LANES] = {0}, lost_0[LANES] = {0}, sum_1[LANES] = {0}, lost_1[LANES] = {0};                      \
        R added_0[CHUNK], rest_0[CHUNK], added_1[CHUNK], rest_1[CHUNK];                                          \
        enum { i = 0 };                                                                                          \
        ptrdiff_t b = 0;                                                                                         \
        while (b < s.blocks) {                                                                                   \
            const ptrdiff_t start = b, stop = s.blocks - b < CHUNK / LANES ? s.blocks : b + CHUNK / LANES;       \
            for (; b < stop; b++) {                                                                              \
                enum { width = LANES };                                                                          \
                BLOCK_PLACES R added[2][LANES]; R rest[2][LANES]; __VA_ARGS__                                    \
                COLLECT((b - start) * LANES, both)                                                               \
            }                                                                                                    \
            NAME(add_blocks)(sum_0, lost_0, added_0, rest_0, stop - start);                                      \
            if (both)                                                                                            \
                NAME(add_blocks)(sum_1, lost_1, added_1, rest_1, stop - start);                                  \
        }                                                                                                        \
        if (s.rest) {                                                                                            \
            const int width = s.rest;                                                                            \
            BLOCK_PLACES R added[2][LANES]; R rest[2][LANES]; __VA_ARGS__                                        \
            COLLECT(0, both)                                                                                     \
            NAME(add_blocks)(sum_0, lost_0, added_0, rest_0, 1);                                                 \
            if (both)                                                                                            \
                NAME(add_blocks)(sum_1, lost_1, added_1, rest_1, 1);                                             \
        }                                                                                                        \
        LINE((first_sum).sum[l] = sum_0[l]; (first_sum).lost[l * PAIRS] = lost_0[l];)                            \
        if (both)                                                                                                \
            LINE((second_sum).sum[l] = sum_1[l]; (second_sum).lost[l * PAIRS] = lost_1[l];)                      \
    }                                                                                                            \
    NAME(add_up)(&(first_sum), s, beside);                                                                       \
    if (both)                                                                                                    \
        NAME(add_up)(&(second_sum), s, beside);
#define COLLECT(to, both)                                                                                        \
    LINE(added_0[(to) + l] = added[0][l]; rest_0[(to) + l] = rest[0][l];)                                        \
    if (both)                                                                                                    \
        LINE(added_1[(to) + l] = added[1][l]; rest_1[(to) + l] = rest[1][l];)

/* The sums of the rows, in sum[] and lost[]. */
V_INLINE void NAME(add_up)(NAME(partial_sums) *partial, row_shape s, const int beside)
{
    if (!beside) {
#define HALVE(half)                                                                                              \
    VECTORIZE for (int l = 0; l < half; l++)                                                                     \
        ADD(partial->sum[l], partial->lost[l * PAIRS], partial->sum[l + half], partial->lost[(l + half) * PAIRS])
        HALVE(8) HALVE(4) HALVE(2) HALVE(1)
#undef HALVE
        return;
    }
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int lane = 0; lane < half; lane++)
            EACH_ROW(const int to = lane * SIDE_BY_SIDE + r; const int from = to + half * SIDE_BY_SIDE;
                     ADD(partial->sum[to], partial->lost[to * PAIRS], partial->sum[from], partial->lost[from * PAIRS]))
}

/* An infinite sum has lost inf - inf. */
#define LOST(partial, r) (PAIRS ? v_where((partial).lost[(r) * PAIRS] == (partial).lost[(r) * PAIRS],            \
                                          (partial).lost[(r) * PAIRS], 0) : 0)
#define TOTAL(partial, r) ((double)(partial).sum[r] + LOST(partial, r))

/* ---- Exponentials ------------------------------------------------------------------------------------------------ */

/* What the exponentials of some rows are relative to.  Those of `general` ones, with a temperature or a sink, are
 * exp((x - maximum)/t); others exp(x - maximum) in units that keep the smallest of interest normal. */
typedef struct {
    T maximum[SIDE_BY_SIDE];
    double origin[SIDE_BY_SIDE]; /* maximum, but 0 for -inf */
    scaling inverse;
} NAME(exponents);

#define SCALE(general) ((general) == WITH_TEMPERATURE ? 1 : IS_SINGLE ? 0x1p-64f : PAIRS ? 0x1p-256 : 0x1p-126)

/* The exponentials of a line, 0 beyond its width.  (x - maximum)/t is taken with what rounding it loses. */
V_INLINE void NAME(exponentials)(const T *x, const T *maximum, const double *origin, scaling inverse, R *high, R *low,
                                 int width, const int general)
{
    if (general == WITH_TEMPERATURE) {
        LINE(high[l] = l < width ? exponential(NUMBER(x, 0), origin[l], inverse) : 0; if (PAIRS) low[l] = 0;)
        return;
    }
#if defined(V_FUSED)
    if (general != IN_DOUBLE && (!PAIRS || IS_SINGLE)) { /* in float; beyond `least` not even a sum of them shows */
        LINE(const s_pair e = s_exp_difference(NUMBER(x, 0), maximum[l], IS_SINGLE ? -131 : -174, IS_SINGLE ? 64 : 126);
             high[l] = l < width ? PAIRS ? e.high : (double)e.high + e.low : 0;
             if (PAIRS) low[l] = l < width ? e.low : 0;)
        return;
    }
#endif
    LINE(const double a = NUMBER(x, 0), b = maximum[l], d = a - b, used = d - a;
         const double d_low = (a - (d - used)) - (b + used);
         const int far = d < (PAIRS ? -885 : -600);
         const v_reduced e = v_reduce(v_where(far, (PAIRS ? -885 : -600), d), v_where(far, 0, d_low));
         const double power = v_where(far, 0, v_power_of_two(e.n + (V_ROUND + (PAIRS ? 256 : 126))));
         const double p = e.high + e.rest, p_low = (e.high - p) + e.rest;
         const double sum = 1 + p, rest = ((1 - sum) + p) + p_low;
         high[l] = l < width ? PAIRS ? power * sum : power * (sum + rest) : 0;
         if (PAIRS) low[l] = l < width ? power * rest : 0;)
}

#define EXPONENTIALS(high, low)                                                                                  \
    NAME(exponentials)(AT(x), e->maximum + block, e->origin + block, e->inverse, high, low, width, general);

/* Exponentials that are kept, or computed anew. */
#define FOR_EXPONENTIALS(...)                                                                                    \
    if (is_kept) {                                                                                               \
        EACH_BLOCK(const R *const high = kept + place; MAYBE_UNUSED const R *const low = kept_low + place;       \
                  __VA_ARGS__)                                                                                   \
    } else {                                                                                                     \
        EACH_BLOCK(R high[LANES]; R low[LANES]; EXPONENTIALS(high, low) __VA_ARGS__)                             \
    }

#define DECLARE_ROWS                                                                                             \
    const row_shape s = row_shape_of(n, rows, beside);                                                           \
    R kept[KEPT / (1 + PAIRS)], kept_low[PAIRS ? KEPT / 2 : 1];                                                  \
    const int is_kept = s.lines * s.size <= (ptrdiff_t)(sizeof kept / sizeof *kept);
#define INPUT_ARRAY(name, k)                                                                                     \
    const T *const name = (const T *)arrays[k].first + first * arrays[k].row_step;                               \
    MAYBE_UNUSED const ptrdiff_t name##_step = beside ? arrays[k].step : 0;
#define OUTPUT_ARRAY(name, k)                                                                                    \
    T *const name = (T *)arrays[k].first + first * arrays[k].row_step;                                           \
    MAYBE_UNUSED const ptrdiff_t name##_step = beside ? arrays[k].step : 0;

/* Quotients as pairs. */
typedef struct {
    R high[SIDE_BY_SIDE];
    R low[SIDE_BY_SIDE];
} NAME(factors);

/* a / (b + b_low) */
#define SET_QUOTIENT(result, r, a, b, b_low)                                                                     \
    const double quotient = (a) / ((b) + (b_low));                                                               \
    (result).high[r] = (R)quotient;                                                                              \
    {                                                                                                            \
        const double rest = IS_SINGLE ? quotient - (R)quotient                                                   \
                                      : -(v_residual(quotient, b, a) + quotient * (b_low)) / (b);                \
        (result).low[r] = (R)v_where(v_abs(rest) < v_abs(quotient), rest, 0);                                    \
    }
/* Of a sum */
#define SET_PAIR(result, r, a)                                                                                   \
    const double total_of_row = (a);                                                                             \
    (result).high[r] = (R)total_of_row;                                                                          \
    (result).low[r] = (R)(total_of_row - (R)total_of_row);
#define SPREAD_FACTORS(result)                                                                                   \
    SPREAD((result).high)                                                                                        \
    SPREAD((result).low)

/* The exponential of the number at hand times a factor, in units */
#define FUSED(a, b, c) (IS_SINGLE ? s_fma(a, b, c) : v_fma(a, b, c))
#define TIMES(factor) TIMES_HIGH(high[l], factor)
#define TIMES_HIGH(number, factor)                                                                               \
    (PAIRS ? FUSED(number, (factor).high[block + l],                                                             \
                   FUSED(low[l * PAIRS], (factor).high[block + l], (number) * (factor).low[block + l]))          \
           : (number) * (factor).high[block + l])

/* ---- softmax: exp(x/t) / (exp(sink) + Σ exp(x/t)), t the temperature --------------------------------------------- */

typedef struct {
    NAME(factors) factor;       /* a probability is its exponential times the factor, in units */
    double mean[SIDE_BY_SIDE];  /* Σ grad p, where there is a gradient */
    double share[SIDE_BY_SIDE]; /* of the sink */
    NAME(exponents) e;
} NAME(softmax_sums);

/* The exponentials are kept, if they are, in y or else in `kept`, their low parts in `kept_low`.
 * A row without a finite maximum, and without a sink, has no softmax: inf - inf makes it NaN. */
V_INLINE void NAME(softmax_sum)(const T *grad, ptrdiff_t grad_step, const T *x, ptrdiff_t x_step, row_shape s,
                                const T *params, T *y, ptrdiff_t y_step, R *kept, R *kept_low, int is_kept,
                                NAME(softmax_sums) *result, const int beside, const int general)
{
    NAME(exponents) *const e = &result->e;
    NAME(partial_sums) sums, products;
    NAME(maxima)(x, x_step, s, e->maximum, beside);
    if (general) {
        e->inverse = scaling_by_inverse(params[0]);
        for (int r = 0; r < s.rows; r++)
            e->origin[r] = v_where(e->maximum[r] == -(T)INFINITY, 0, e->maximum[r]);
    }
    SUM_BLOCKS(sums, products, grad,
               R buffer[2 * LANES]; R *const high = is_kept && !y ? kept + place : buffer;
               R *const low = is_kept ? kept_low + place : buffer + LANES;
               EXPONENTIALS(high, low)
               if (is_kept && y)
                   WRITE(AT(y), (T)high[l])
               LINE(added[0][l] = high[l]; rest[0][l] = low[l * PAIRS];)
               if (grad) {
                   const T *const gradient = AT(grad);
                   LINE(added[1][l] = high[l] * NUMBER(gradient, 0); rest[1][l] = low[l * PAIRS] * NUMBER(gradient, 0);)
               })
    if (!general) {
        EACH_ROW(const double total = (double)sums.sum[r] * SCALE(0);
                 const double total_low = (double)LOST(sums, r) * SCALE(0);
                 SET_QUOTIENT(result->factor, r, PAIRS ? 1 : SCALE(0), total, total_low)
                 result->share[r] = 0;
                 if (grad) result->mean[r] = TOTAL(products, r) * SCALE(0) / (total + total_low);)
    } else {
        EACH_ROW(const double maximum = e->maximum[r]; const double sum = TOTAL(sums, r);
                 const double ahead = maximum * e->inverse.scale - params[1];
                 const double ahead_low = scaled_low(maximum, e->inverse, ahead, params[1]);
                 const double smaller = v_exp_sum(-v_abs(ahead), v_where(ahead > 0, -ahead_low, ahead_low));
                 const double factor = v_where(ahead > 0, 1, smaller);
                 const double sink = v_where(ahead > 0, smaller, v_where(ahead == ahead, 1, ahead));
                 const double total = sum * factor + sink;
                 SET_QUOTIENT(result->factor, r, factor, total, 0)
                 result->share[r] = sink / total;
                 if (grad) result->mean[r] = TOTAL(products, r) * factor / total;)
    }
    SPREAD_FACTORS(result->factor)
    if (grad)
        SPREAD(result->mean)
}

#define SOFTMAX_SUMS(grad)                                                                                       \
    DECLARE_ROWS                                                                                                 \
    NAME(softmax_sums) result;                                                                                   \
    const NAME(exponents) *const e = &result.e;                                                                  \
    NAME(softmax_sum)(grad, grad##_step, x, x_step, s, params, NULL, 0, kept, kept_low, is_kept, &result, beside, \
                      general);

/* Returns 1, or 0 without having written anything where the numbers of a row are beyond those of R. */
#define GROUP(function)                                                                                          \
    V_INLINE int NAME(function##_group)(const pyactx_row_array *arrays, ptrdiff_t first, ptrdiff_t n, int rows,  \
                                         const T *params, const int beside, const int general)

GROUP(softmax_forward)
{
    INPUT_ARRAY(x, 0)
    OUTPUT_ARRAY(y, 1)
    const row_shape s = row_shape_of(n, rows, beside);
    R kept[PAIRS ? 1 : KEPT], kept_low[PAIRS ? KEPT * sizeof(double) / sizeof(R) : 1];
    const int is_kept = s.lines * s.size <= (ptrdiff_t)(PAIRS ? sizeof kept_low / sizeof(R) : KEPT);
    NAME(softmax_sums) result;
    const NAME(exponents) *const e = &result.e;
    NAME(softmax_sum)(NULL, 0, x, x_step, s, params, PAIRS ? y : NULL, y_step, kept, kept_low, is_kept, &result, beside,
                      general);
#define PROBABILITIES(high) WRITE(AT(y), (T)(TIMES_HIGH(high, result.factor) * (PAIRS ? SCALE(general) : 1)))
    if (PAIRS && is_kept) {
        EACH_BLOCK(const T *const kept_high = AT(y); const R *const low = kept_low + place;
                   PROBABILITIES(NUMBER(kept_high, 0)))
    } else {
        FOR_EXPONENTIALS(PROBABILITIES(high[l]))
    }
    return 1;
}

/* p (grad - Σ grad p) / t */
GROUP(softmax_backward)
{
    INPUT_ARRAY(grad, 0)
    INPUT_ARRAY(x, 1)
    OUTPUT_ARRAY(y, 2)
    SOFTMAX_SUMS(grad)
    const double scale = general ? e->inverse.scale : 1;
    FOR_EXPONENTIALS(
        const T *const gradient = AT(grad);
        WRITE(AT(y), (T)(TIMES(result.factor) * (NUMBER(gradient, 0) - result.mean[block + l]) * scale *
                         (PAIRS ? SCALE(general) : 1)));)
    return 1;
}

/* factor (grad - mean) scale */
V_INLINE T NAME(times_less)(R factor, R grad, R mean, R mean_low, double scale)
{
    const R difference = grad - mean, used = difference - grad;
    const R low = ((grad - (difference - used)) - (mean + used)) - mean_low;
    if (IS_SINGLE)
        return (T)s_fma(factor, difference, factor * low);
    return (T)(factor * difference * scale);
}

GROUP(softmax_backward_from_output)
{
    INPUT_ARRAY(grad, 0)
    INPUT_ARRAY(x, 1)
    OUTPUT_ARRAY(y, 2)
    const row_shape s = row_shape_of(n, rows, beside);
    const double scale = general ? scaling_by_inverse(params[0]).scale : 1;
    NAME(partial_sums) products;
    NAME(factors) mean;
    SUM_BLOCKS(products, products, 0,
               const T *const gradient = AT(grad); const T *const line = AT(x);
               LINE(const R factor = NUMBER(gradient, 0); added[0][l] = factor * NUMBER(line, 0);
                    rest[0][l] = IS_SINGLE ? s_fma(factor, NUMBER(line, 0), -added[0][l]) : 0;))
    int finite = 1;
    EACH_ROW(SET_PAIR(mean, r, TOTAL(products, r)) finite &= v_abs(mean.high[r]) < INFINITY;)
    if (IS_SINGLE && !finite)
        return 0;
    SPREAD_FACTORS(mean)
    EACH_BLOCK(const T *const gradient = AT(grad); const T *const line = AT(x);
               WRITE(AT(y), NAME(times_less)(NUMBER(line, 0), NUMBER(gradient, 0), mean.high[block + l],
                                             mean.low[block + l], scale));)
    return 1;
}

/* By the temperature: x/t changes by -x/t² */
GROUP(softmax_gradient_0)
{
    INPUT_ARRAY(grad, 0)
    INPUT_ARRAY(x, 1)
    OUTPUT_ARRAY(y, 2)
    SOFTMAX_SUMS(grad)
    const double scale = general ? e->inverse.scale : 1;
    NAME(partial_sums) changes;
    SUM_BLOCKS(changes, changes, 0,
               const T *const gradient = AT(grad); const T *const line = AT(x);
               R high[LANES]; R low[LANES]; EXPONENTIALS(high, low)
               LINE(const double p = l < width ? TIMES(result.factor) * (PAIRS ? SCALE(general) : 1) : 0;
                    const double above = NUMBER(gradient, 0) - result.mean[block + l];
                    const double change = v_slope(p, (double)NUMBER(line, 0)) * above;
                    added[0][l] = l < width ? change : 0; rest[0][l] = 0;))
    for (int r = 0; r < rows; r++)
        y[r] = (T)(-TOTAL(changes, r) * v_square(scale));
    return 1;
}

/* By the sink: -p_sink Σ grad p */
GROUP(softmax_gradient_1)
{
    INPUT_ARRAY(grad, 0)
    INPUT_ARRAY(x, 1)
    OUTPUT_ARRAY(y, 2)
    SOFTMAX_SUMS(grad)
    (void)e;
    for (int r = 0; r < rows; r++)
        y[r] = (T)(-result.share[r] * result.mean[r]);
    return 1;
}

/* ---- log_softmax, logsumexp, logmeanexp -------------------------------------------------------------------------- */

typedef WHOLE NAME(count);

/* log Σ exp(x) = maximum + log(1 + others).  The 1 of the maximum stays out of the sum, so that the logarithm of a
 * probability near 1 is -1e-9 and not 0. */
V_INLINE void NAME(others)(const T *x, ptrdiff_t x_step, row_shape s, R *kept, R *kept_low, int is_kept,
                           NAME(exponents) *e, double *others, const int beside, const int general)
{
    NAME(partial_sums) below;
    NAME(count) ties[SIDE_BY_SIDE];
    NAME(maxima)(x, x_step, s, e->maximum, beside);
    for (int r = 0; r < s.rows; r++)
        ties[r] = 0;
    SUM_BLOCKS(below, below, 0,
               R buffer[2 * LANES]; R *const high = is_kept ? kept + place : buffer;
               R *const low = is_kept ? kept_low + place : buffer + LANES;
               EXPONENTIALS(high, low)
               const T *const line = AT(x);
               LINE(const int tie = NUMBER(line, NAN) == e->maximum[block + l];
                    added[0][l] = v_where(tie, 0, high[l]);
                    rest[0][l] = v_where(tie, 0, low[l * PAIRS]);
                    ties[block + l] += tie;))
    if (!beside)
        for (int l = 1; l < LANES; l++)
            ties[0] += ties[l];
    EACH_ROW(others[r] = TOTAL(below, r) * SCALE(0) + (ties[r] - 1);)
}

#define OTHERS(kind)                                                                                             \
    (void)params, (void)general;                                                                                 \
    NAME(exponents) exponents, *const e = &exponents;                                                            \
    double others[SIDE_BY_SIDE];                                                                                 \
    NAME(others)(x, x_step, s, kept, kept_low, is_kept, e, others, beside, kind);
#define OTHERS_ALONE(kind)                                                                                       \
    const row_shape s = row_shape_of(n, rows, beside);                                                           \
    enum { is_kept = 0 };                                                                                        \
    R *const kept = NULL, *const kept_low = NULL;                                                                \
    OTHERS(kind)

/* inf - inf makes a row without a finite maximum NaN. */
#define UNLESS_INFINITE(r) (e->maximum[r] - e->maximum[r])

GROUP(log_softmax_forward)
{
    INPUT_ARRAY(x, 0)
    OUTPUT_ARRAY(y, 1)
    OTHERS_ALONE(general)
    double logarithm[SIDE_BY_SIDE];
    EACH_ROW(logarithm[r] = v_log1p(others[r]) + UNLESS_INFINITE(r);)
    SPREAD(logarithm)
    EACH_BLOCK(const T *const line = AT(x);
              WRITE(AT(y), (T)(((double)NUMBER(line, 0) - e->maximum[block + l]) - logarithm[block + l]));)
    return 1;
}

/* grad - softmax(x) Σ grad */
GROUP(log_softmax_backward)
{
    INPUT_ARRAY(grad, 0)
    INPUT_ARRAY(x, 1)
    OUTPUT_ARRAY(y, 2)
    DECLARE_ROWS
    OTHERS(general)
    NAME(partial_sums) gradients;
    NAME(factors) factor;
    SUM_BLOCKS(gradients, gradients, 0, const T *const gradient = AT(grad);
               LINE(added[0][l] = NUMBER(gradient, 0); rest[0][l] = 0;))
    EACH_ROW(const double total = 1 + others[r] + UNLESS_INFINITE(r);
             SET_QUOTIENT(factor, r, TOTAL(gradients, r) * (PAIRS ? 1 : SCALE(0)), total, 0))
    SPREAD_FACTORS(factor)
    FOR_EXPONENTIALS(const T *const gradient = AT(grad);
                     WRITE(AT(y), (T)(NUMBER(gradient, 0) - TIMES(factor) * (PAIRS ? SCALE(0) : 1)));)
    return 1;
}

/* grad - exp(y) Σ grad for the logarithm y of a probability; of other numbers too, but in float. */
V_INLINE T NAME(less_share)(R grad, T y, R sum, R sum_low)
{
    if (!IS_SINGLE)
        return (T)(grad - v_exp(y) * sum);
    const s_pair share = s_times(s_exp_scaled(y, 0, -131, 64), (s_pair){sum * 0x1p-64f, sum_low * 0x1p-64f});
    const s_pair difference = s_sum_of_any(grad, -share.high);
    return (T)(difference.high + (difference.low - share.low));
}

GROUP(log_softmax_backward_from_output)
{
    (void)params, (void)general;
    INPUT_ARRAY(grad, 0)
    INPUT_ARRAY(x, 1)
    OUTPUT_ARRAY(y, 2)
    const row_shape s = row_shape_of(n, rows, beside);
    NAME(partial_sums) gradients;
    NAME(factors) sum;
    T maximum[SIDE_BY_SIDE];
    if (IS_SINGLE)
        NAME(maxima)(x, x_step, s, maximum, beside);
    SUM_BLOCKS(gradients, gradients, 0, const T *const gradient = AT(grad);
               LINE(added[0][l] = NUMBER(gradient, 0); rest[0][l] = 0;))
    int usual = 1;
    EACH_ROW(SET_PAIR(sum, r, TOTAL(gradients, r))
             if (IS_SINGLE) usual &= (maximum[r] <= 0) & (v_abs(sum.high[r]) < 0x1p20) &
                                 ((v_abs(sum.high[r]) > 0x1p-30) | (sum.high[r] == 0));)
    if (IS_SINGLE && !usual)
        return 0;
    SPREAD_FACTORS(sum)
    EACH_BLOCK(const T *const gradient = AT(grad); const T *const line = AT(x);
               WRITE(AT(y), NAME(less_share)(NUMBER(gradient, 0), NUMBER(line, 0), sum.high[block + l],
                                             sum.low[block + l]));)
    return 1;
}

/* Maximum and logarithm may cancel: the exponentials are in double. */
GROUP(logsumexp_forward)
{
    INPUT_ARRAY(x, 0)
    OUTPUT_ARRAY(y, 1)
    OTHERS_ALONE(IN_DOUBLE)
    double sum[SIDE_BY_SIDE];
    EACH_ROW(sum[r] = e->maximum[r] + v_log1p(others[r]);)
    for (int r = 0; r < rows; r++)
        y[r] = (T)sum[r];
    return 1;
}

GROUP(logsumexp_backward)
{
    INPUT_ARRAY(grad, 0)
    INPUT_ARRAY(x, 1)
    OUTPUT_ARRAY(y, 2)
    DECLARE_ROWS
    OTHERS(general)
    NAME(factors) factor;
    double gradient[SIDE_BY_SIDE] = {0};
    for (int r = 0; r < rows; r++)
        gradient[r] = grad[r];
    EACH_ROW(const double total = 1 + others[r] + UNLESS_INFINITE(r);
             SET_QUOTIENT(factor, r, PAIRS ? 1 : SCALE(0), total, 0))
    SPREAD_FACTORS(factor)
    SPREAD(gradient)
    FOR_EXPONENTIALS(WRITE(AT(y), (T)(TIMES(factor) * gradient[block + l] * (PAIRS ? SCALE(0) : 1)));)
    return 1;
}

/* log((1 + others)/n); a logarithm near 0 is that of 1 + (1 + others - n)/n. */
GROUP(logmeanexp_forward)
{
    INPUT_ARRAY(x, 0)
    OUTPUT_ARRAY(y, 1)
    OTHERS_ALONE(IN_DOUBLE)
    double mean[SIDE_BY_SIDE];
    EACH_ROW(const double sum = 1 + others[r];
             const double logarithm = v_where(2 * sum > n, v_log1p((others[r] + (1 - (double)n)) / n), v_log(sum / n));
             mean[r] = e->maximum[r] + logarithm;)
    for (int r = 0; r < rows; r++)
        y[r] = (T)mean[r];
    return 1;
}

/* ---- Functions over rows ----------------------------------------------------------------------------------------- */

/* Each expansion has a function of its own, for the sake of its stack.  Short rows are laid beside each other.
 * `numbers` is 1 << k for the array k, if any, of one number for a row; `otherwise` does rows that a group cannot. */
#define NEVER(...)
#define EXPANSION(name, function, arguments, numbers, general, otherwise)                                        \
    MAYBE_UNUSED static void NAME(name)(const pyactx_row_array *arrays, ptrdiff_t rows, ptrdiff_t n, const T *params) \
    {                                                                                                            \
        const int beside = are_beside(arrays, arguments);                                                        \
        const int short_rows = !beside && n <= SHORT_LINE && rows >= FEW_LINES;                                  \
        const int most = beside ? side_by_side(n * sizeof(T)) : short_rows ? LANES : 1;                          \
        for (ptrdiff_t first = 0; first < rows; first += most) {                                                 \
            const int group = rows - first < most ? (int)(rows - first) : most;                                  \
            T laid[arguments][SHORT_LINE * LANES];                                                               \
            pyactx_row_array here[arguments];                                                                    \
            for (int k = 0; k < arguments; k++) {                                                                \
                const T *const row = (const T *)arrays[k].first + first * arrays[k].row_step;                    \
                if (!short_rows || (numbers >> k & 1)) {                                                         \
                    here[k] = (pyactx_row_array){(T *)row, arrays[k].row_step, arrays[k].step};                  \
                    continue;                                                                                    \
                }                                                                                                \
                here[k] = (pyactx_row_array){laid[k], 1, LANES};                                                 \
                for (int r = 0; r < group && k < arguments - 1; r++)                                             \
                    for (ptrdiff_t j = 0; j < n; j++)                                                            \
                        laid[k][j * LANES + r] = row[r * arrays[k].row_step + j];                                \
            }                                                                                                    \
            if (beside || short_rows ? NAME(function##_group)(here, 0, n, group, params, 1, general)             \
                                     : NAME(function##_group)(here, 0, n, 1, params, 0, general)) {              \
                T *const row = (T *)arrays[arguments - 1].first + first * arrays[arguments - 1].row_step;        \
                for (int r = 0; short_rows && !(numbers >> (arguments - 1) & 1) && r < group; r++)               \
                    for (ptrdiff_t j = 0; j < n; j++)                                                            \
                        row[r * arrays[arguments - 1].row_step + j] = laid[arguments - 1][j * LANES + r];        \
                continue;                                                                                        \
            }                                                                                                    \
            for (ptrdiff_t r = first; r < first + group; r++) {                                                  \
                pyactx_row_array row[arguments];                                                                 \
                for (int k = 0; k < arguments; k++)                                                              \
                    row[k] = (pyactx_row_array){(T *)arrays[k].first + r * arrays[k].row_step,                   \
                                                arrays[k].row_step, arrays[k].step};                             \
                if (group == 1)                                                                                  \
                    otherwise(row, 1, n, params);                                                                \
                else                                                                                             \
                    NAME(name)(row, 1, n, params);                                                               \
            }                                                                                                    \
        }                                                                                                        \
    }

#if defined(SINGLE)
EXPANSION(softmax_forward_default, softmax_forward, 2, 0, 0, NEVER)
EXPANSION(softmax_backward_from_output_default, softmax_backward_from_output, 3, 0, 0,
          softmax_backward_from_output_default_f32)
EXPANSION(log_softmax_forward_default, log_softmax_forward, 2, 0, 0, NEVER)
EXPANSION(log_softmax_backward_from_output_default, log_softmax_backward_from_output, 3, 0, 0,
          log_softmax_backward_from_output_default_f32)
#else
#define WITH_PARAMETERS(function, arguments, numbers)                                                            \
    EXPANSION(function##_default, function, arguments, numbers, 0, NEVER)                                        \
    EXPANSION(function##_general, function, arguments, numbers, 1, NEVER)
#define WITHOUT_PARAMETERS(function, arguments, numbers)                                                         \
    EXPANSION(function##_default, function, arguments, numbers, 0, NEVER)
#define GENERAL(function, arguments, numbers)                                                                    \
    EXPANSION(function##_general, function, arguments, numbers, 1, NEVER)
EACH_ROW_FUNCTION(WITH_PARAMETERS, WITHOUT_PARAMETERS, GENERAL)
#endif

#undef NAME
#undef PAIRS
#undef IS_SINGLE
#undef LINE
#undef EACH_BLOCK
#undef BLOCK_PLACES
#undef AT
#undef EACH_ROW
#undef SPREAD
#undef NUMBER
#undef WRITE
#undef ADD
#undef LOST
#undef TOTAL
#undef SCALE
#undef EXPONENTIALS
#undef FOR_EXPONENTIALS
#undef DECLARE_ROWS
#undef INPUT_ARRAY
#undef OUTPUT_ARRAY
#undef SET_QUOTIENT
#undef SET_PAIR
#undef SPREAD_FACTORS
#undef FUSED
#undef TIMES
#undef TIMES_HIGH
#undef SOFTMAX_SUMS
#undef GROUP
#undef PROBABILITIES
#undef OTHERS
#undef OTHERS_ALONE
#undef UNLESS_INFINITE
#undef EXPANSION
#undef NEVER
#undef WITH_PARAMETERS
#undef WITHOUT_PARAMETERS
#undef GENERAL
