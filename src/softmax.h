/* softmax and its kin: kernels over rows with one exponential for each element.
 *
 * A kernel takes a group of rows and goes through lines of numbers that are neighbours in memory, LANES at a time: a
 * line is a row, or it is an element of each row, where the elements of a row lie apart and rows lie beside each
 * other.  `beside` is which, a constant wherever these functions are expanded.
 *
 * Element j of a row goes to partial sum j % LANES, and these are added in halves: the bits do not depend on how a row
 * lies.  Exponentials are kept for the last pass where there is room, in the output or on the stack, and else computed
 * anew in it: kernels do not allocate, and the output may be an input.
 *
 * Include once for each element type T and type R of the exponentials; F ends the names.  Of float in float (SINGLE)
 * they are pairs of numbers.  Sums are in double.
 */

#define NAME(function) PASTE(PASTE(function, _), F)
#define IS_SINGLE (sizeof(R) == sizeof(float))
#define IS_DOUBLE (sizeof(T) == sizeof(double))
#define MOST (SIDE_BY_SIDE / (int)sizeof(T)) /* rows of a group */

/* ---- Lines ------------------------------------------------------------------------------------------------------- */

/* Every line, up to CHUNK numbers of it at once: `count` from `start` on. */
#define EACH_PIECE(...)                                                                                          \
    for (ptrdiff_t i = 0; i < s.lines; i++)                                                                      \
        for (ptrdiff_t start = 0; start < s.numbers; start += CHUNK) {                                           \
            const ptrdiff_t count = s.numbers - start < CHUNK ? s.numbers - start : CHUNK;                       \
            __VA_ARGS__                                                                                          \
        }

/* Number at + l of a piece: LANES of them at a time, and those that are left. */
#define NUMBERS(...)                                                                                             \
    {                                                                                                            \
        ptrdiff_t at = 0;                                                                                        \
        for (; at + LANES <= count; at += LANES) {                                                               \
            enum { width = LANES };                                                                              \
            LANES_OF(__VA_ARGS__)                                                                                \
        }                                                                                                        \
        if (at < count) {                                                                                        \
            const int width = (int)(count - at);                                                                 \
            LANES_OF(__VA_ARGS__)                                                                                \
        }                                                                                                        \
    }
#define LANES_OF(...)                                                                                            \
    VECTORIZE for (int l = 0; l < LANES; l++)                                                                    \
    {                                                                                                            \
        __VA_ARGS__                                                                                              \
    }

#define PIECE_OF(array) ((array) + i * array##_step + start)
/* Asks for what is at the same place in the next group of rows. */
#define NEXT_GROUP(array)                                                                                        \
    if (!beside)                                                                                                 \
        ask_for(PIECE_OF(array) + s.rows * array##_step, count * sizeof(T));
#define NUMBER(piece, fill) (l < width ? (piece)[at + l] : (fill))
#define WRITE(piece, number)                                                                                     \
    {                                                                                                            \
        const T written = (number);                                                                              \
        if (l < width)                                                                                           \
            (piece)[at + l] = written;                                                                           \
    }

/* What is known of the row that a number belongs to. */
#define OF_ROW(array) ((array) + (beside ? at : i))[beside ? l : 0]
#define EACH_ROW(...)                                                                                            \
    if (beside) {                                                                                                \
        for (int block = 0; block < s.rows; block += LANES)                                                      \
            VECTORIZE for (int r = block; r < block + LANES; r++) { __VA_ARGS__ }                                \
    } else {                                                                                                     \
        for (int r = 0; r < s.rows; r++) {                                                                       \
            __VA_ARGS__                                                                                          \
        }                                                                                                        \
    }

#define HALVES(HALVE) HALVE(8) HALVE(4) HALVE(2) HALVE(1)

/* The largest elements.  NaN is skipped: it reaches every result through a sum. */
V_INLINE void NAME(maxima)(const T *x, ptrdiff_t x_step, row_shape s, T *maximum, const int beside)
{
    EACH_ROW(maximum[r] = -(T)INFINITY;)
    if (beside) {
        EACH_PIECE(const T *const piece = PIECE_OF(x);
                   NUMBERS(const T number = NUMBER(piece, -(T)INFINITY);
                           maximum[at + l] = v_where(number > maximum[at + l], number, maximum[at + l]);))
        return;
    }
    for (ptrdiff_t i = 0; i < s.lines; i++) {
        const T *const row = x + i * x_step;
        T wide[4 * LANES];
        for (int l = 0; l < 4 * LANES; l++)
            wide[l] = -(T)INFINITY;
        ptrdiff_t j = 0;
        for (; j + 4 * LANES <= s.numbers; j += 4 * LANES)
            VECTORIZE for (int l = 0; l < 4 * LANES; l++)
                wide[l] = v_where(row[j + l] > wide[l], row[j + l], wide[l]);
        const ptrdiff_t count = s.numbers - j;
        NUMBERS(const T number = NUMBER(row + j, -(T)INFINITY); wide[l] = v_where(number > wide[l], number, wide[l]);)
#define HALVE(half)                                                                                              \
        VECTORIZE for (int l = 0; l < half; l++)                                                                 \
            wide[l] = v_where(wide[l + half] > wide[l], wide[l + half], wide[l]);
        HALVE(32) HALVE(16) HALVES(HALVE)
#undef HALVE
        maximum[i] = wide[0];
    }
}

/* ---- Sums -------------------------------------------------------------------------------------------------------- */

/* What is lost is not kept of float in double, where it does not show. */
#define LOSES (IS_SINGLE || IS_DOUBLE)

typedef struct {
    double sum[LANES * MOST];
    double total[MOST];
    R lost[LOSES ? LANES * MOST : 1];
} NAME(sums);

/* Adds a number, and the low part of a pair to what is lost. */
#define ADD(sum, lost, number, low)                                                                              \
    {                                                                                                            \
        const double before = (sum), term = (number), after = before + term, used = after - before;              \
        if (IS_SINGLE)                                                                                           \
            (lost) += (low);                                                                                     \
        else if (IS_DOUBLE)                                                                                      \
            (lost) += (R)((before - (after - used)) + (term - used));                                            \
        (sum) = after;                                                                                           \
    }

/* An exponential as ADD takes it. */
#if defined(SINGLE)
#define TO_ADD(a, b) s_sum(a, b).high, s_sum(a, b).low
#else
#define TO_ADD(a, b) a, 0
#endif

/* Adds what the numbers of a piece make; the sums of one row are copied lest they leave their registers. */
#define ADD_PIECE(sums, ...)                                                                                     \
    if (beside) {                                                                                                \
        double *const sum = (sums).sum + i % LANES * MOST;                                                       \
        MAYBE_UNUSED R *const lost = (sums).lost + i % LANES * MOST * LOSES;                                     \
        NUMBERS(ADD_THESE(sum[at + l], lost[(at + l) * LOSES], __VA_ARGS__))                                     \
    } else {                                                                                                     \
        double sum[LANES];                                                                                       \
        MAYBE_UNUSED R lost[LANES];                                                                              \
        LANES_OF(sum[l] = (sums).sum[i * LANES + l]; lost[l] = (sums).lost[(i * LANES + l) * LOSES];)            \
        NUMBERS(ADD_THESE(sum[l], lost[l], __VA_ARGS__))                                                         \
        LANES_OF((sums).sum[i * LANES + l] = sum[l]; (sums).lost[(i * LANES + l) * LOSES] = lost[l];)            \
    }
#define ADD_THESE(sum, lost, ...) ADD(sum, lost, __VA_ARGS__)

V_INLINE void NAME(start_sums)(NAME(sums) *sums, row_shape s, const int beside)
{
    for (int lane = 0; lane < LANES; lane++) {
        const int to = beside ? lane * MOST : lane * s.rows;
        EACH_ROW(sums->sum[to + r] = 0; sums->lost[(to + r) * LOSES] = 0;)
    }
}

/* Adds the partial sums up.  An infinite sum has lost inf - inf. */
V_INLINE void NAME(add_up)(NAME(sums) *sums, row_shape s, const int beside)
{
#define ADD_TO(to, from)                                                                                         \
    ADD(sums->sum[to], sums->lost[(to) * LOSES], sums->sum[from], sums->lost[(from) * LOSES])                    \
    if (IS_DOUBLE)                                                                                               \
        sums->lost[(to) * LOSES] += sums->lost[(from) * LOSES];
#define HALVE(half)                                                                                              \
    if (beside)                                                                                                  \
        for (int lane = 0; lane < half; lane++)                                                                  \
            EACH_ROW(ADD_TO(lane * MOST + r, (lane + half) * MOST + r))                                          \
    else                                                                                                         \
        for (ptrdiff_t i = 0; i < s.rows; i++)                                                                   \
            VECTORIZE for (int l = 0; l < half; l++) { ADD_TO(i * LANES + l, i * LANES + l + half) }
    HALVES(HALVE)
#undef HALVE
#undef ADD_TO
    EACH_ROW(const int at = beside ? r : r * LANES; const R lost = sums->lost[at * LOSES];
             sums->total[r] = sums->sum[at] + (LOSES ? v_where(lost == lost, lost, 0) : 0);)
}

/* ---- Exponentials ------------------------------------------------------------------------------------------------ */

/* What the exponentials of the rows are relative to: their maxima, or of PLAIN float the powers of two that are nearest
 * to the exponentials of these; in units that keep the smallest of interest normal. */
typedef struct {
    T maximum[MOST];
    T nearest[MOST];     /* the exponent of that power */
    T least[MOST];       /* below which not even a sum of exponentials shows */
    double origin[MOST]; /* maximum, but 0 for -inf */
    scaling inverse;             /* of the temperature */
    int kind;
} NAME(reference);

enum { NAME(unit) = IS_SINGLE ? 64 : IS_DOUBLE ? 128 : 126 };

/* Finds the maxima and what goes with them.  Returns 0 where a row needs another kind than others: next to a power of
 * two there is room for numbers up to 700, which s_exp_near and its `least` leave to a maximum of 512. */
V_INLINE int NAME(refer)(const T *x, ptrdiff_t x_step, row_shape s, int rows, int kind, NAME(reference) *e,
                         const int beside)
{
    NAME(maxima)(x, x_step, s, e->maximum, beside);
    e->kind = kind;
    e->inverse = (scaling){1, 0};
    if (!IS_DOUBLE && kind == PLAIN) {
        int small = 1;
        for (int r = 0; r < rows; r++)
            small &= v_abs(e->maximum[r]) < 512;
        if (!small && (IS_SINGLE || rows > 1))
            return 0;
        e->kind = small ? PLAIN : IN_DOUBLE;
    }
    EACH_ROW(e->nearest[r] = (T)((e->maximum[r] * V_LOG2_E + V_ROUND) - V_ROUND);
             e->least[r] = e->maximum[r] - (IS_SINGLE ? 131 : 174);
             e->origin[r] = v_where(e->maximum[r] == -(T)INFINITY, 0, e->maximum[r]);)
    return 1;
}

/* The exponentials of a piece, however much of x - maximum and of its quotient is lost to rounding. */
V_INLINE void NAME(exponentials)(const T *x, const NAME(reference) *e, R *high, R *low, ptrdiff_t i, ptrdiff_t count,
                                 const int beside)
{
    if (!IS_SINGLE && e->kind == WITH_TEMPERATURE) {
        NUMBERS(const R value = (R)exponential(NUMBER(x, 0), OF_ROW(e->origin), e->inverse);
                if (l < width) high[at + l] = value;)
        return;
    }
#if defined(V_FUSED)
    if (!IS_DOUBLE && (IS_SINGLE || e->kind == PLAIN)) {
        NUMBERS(const s_pair a = s_exp_near((float)NUMBER(x, 0), (float)OF_ROW(e->nearest), (float)OF_ROW(e->least),
                                            NAME(unit));
                const R value = IS_SINGLE ? a.high : (R)((double)a.high + a.low);
                if (l < width) {
                    high[at + l] = value;
                    if (IS_SINGLE)
                        low[at + l] = a.low;
                })
        return;
    }
#endif
    NUMBERS(const double a = NUMBER(x, 0), b = OF_ROW(e->maximum), d = a - b, used = d - a;
            const double d_low = IS_DOUBLE ? (a - (d - used)) - (b + used) : 0;
            const int far = d < (IS_DOUBLE ? -795 : -600);
            const v_reduced c = v_reduce(v_where(far, (IS_DOUBLE ? -795 : -600), d), v_where(far, 0, d_low));
            const double power = v_where(far, 0, v_power_of_two(c.n + (V_ROUND + NAME(unit))));
            const R value = (R)(power * (1 + (c.high + c.rest)));
            if (l < width) high[at + l] = value;)
}

/* The unit of exponentials, relative to the one of the maximum. */
V_INLINE double NAME(unit_of)(const NAME(reference) *e, double nearest, double maximum)
{
    const double unit = v_power_of_two(V_ROUND - NAME(unit));
#if defined(V_FUSED)
    if (!IS_DOUBLE && e->kind == PLAIN)
        return v_exp((nearest * V_LN2_HIGH - maximum) + nearest * V_LN2_LOW) * unit;
#else
    (void)nearest, (void)maximum;
#endif
    return v_where(e->kind == WITH_TEMPERATURE, 1, unit);
}

/* ---- Groups of rows ---------------------------------------------------------------------------------------------- */

/* Returns 1, or 0 without having written anything where the rows have to be taken one by one, or by another function. */
#define GROUP(function)                                                                                          \
    V_INLINE int NAME(function##_group)(const pyactx_row_array *arrays, ptrdiff_t n, int rows, const T *params,  \
                                        const int beside)
#define ARRAY(type, name, k)                                                                                     \
    type *const name = (type *)arrays[k].first;                                                                  \
    MAYBE_UNUSED const ptrdiff_t name##_step = beside ? arrays[k].step : arrays[k].row_step;
#define ARRAYS_2                                                                                                 \
    const row_shape s = row_shape_of(n, rows, beside);                                                           \
    (void)params;                                                                                                \
    ARRAY(const T, x, 0) ARRAY(T, y, 1)
#define ARRAYS_3                                                                                                 \
    const row_shape s = row_shape_of(n, rows, beside);                                                           \
    (void)params;                                                                                                \
    ARRAY(const T, grad, 0) ARRAY(const T, x, 1) ARRAY(T, y, 2)

/* Room for exponentials, and for those of a piece where there is none for all. */
#define ROOM                                                                                                     \
    R kept[KEPT], piece_high[CHUNK];                                                                             \
    const int is_kept = s.lines * s.size <= KEPT;
#define EXPONENTIALS                                                                                             \
    R *const high = is_kept ? kept + i * s.size + start : piece_high;                                            \
    NAME(exponentials)(PIECE_OF(x), e, high, NULL, i, count, beside);
#define KEPT_EXPONENTIALS                                                                                        \
    const R *const high = is_kept ? kept + i * s.size + start : piece_high;                                      \
    if (!is_kept)                                                                                                \
        NAME(exponentials)(PIECE_OF(x), e, piece_high, NULL, i, count, beside);

/* ---- softmax: exp(x/t) / (exp(sink) + Σ exp(x/t)), t the temperature --------------------------------------------- */

/* Takes a temperature and a sink, if they are not the defaults, which go without. */
V_INLINE int NAME(refer_to)(const T *x, ptrdiff_t x_step, row_shape s, int rows, const T *params,
                            NAME(reference) *e, const int beside)
{
    const int general = !IS_SINGLE && (params[0] != 1 || params[1] != -(T)INFINITY);
    if (!NAME(refer)(x, x_step, s, rows, general ? WITH_TEMPERATURE : PLAIN, e, beside))
        return 0;
    if (general)
        e->inverse = scaling_by_inverse(params[0]);
    return 1;
}

typedef struct {
    double factor[MOST]; /* a probability is its exponential times the factor */
    double share[MOST];  /* of the sink */
} NAME(shares);

/* A row without a finite maximum, and without a sink, has no softmax: inf - inf makes it NaN. */
V_INLINE void NAME(share)(const NAME(reference) *e, const double *total, row_shape s, const T *params,
                          NAME(shares) *result, const int beside)
{
    if (e->kind != WITH_TEMPERATURE) {
        EACH_ROW(result->factor[r] = 1 / total[r]; result->share[r] = 0;)
        return;
    }
    EACH_ROW(const double maximum = e->maximum[r];
             const double ahead = maximum * e->inverse.scale - params[1];
             const double ahead_low = scaled_low(maximum, e->inverse, ahead, params[1]);
             const double smaller = v_exp_sum(-v_abs(ahead), v_where(ahead > 0, -ahead_low, ahead_low));
             const double factor = v_where(ahead > 0, 1, smaller);
             const double sink = v_where(ahead > 0, smaller, v_where(ahead == ahead, 1, ahead));
             const double sum = total[r] * factor + sink;
             result->factor[r] = factor / sum;
             result->share[r] = sink / sum;)
}

#if defined(SINGLE)

GROUP(softmax_forward)
{
    ARRAYS_2
    float kept_low[2 * KEPT], piece_high[CHUNK], piece_low[CHUNK];
    const int is_kept = s.lines * s.size <= 2 * KEPT;
    NAME(reference) reference, *const e = &reference;
    NAME(sums) sums;
    NAME(shares) shares;
    float factor[MOST], factor_low[MOST];
    if (!NAME(refer_to)(x, x_step, s, rows, params, e, beside))
        return 0;
    NAME(start_sums)(&sums, s, beside);
    EACH_PIECE(float *const high = is_kept ? PIECE_OF(y) : piece_high;
               float *const low = is_kept ? kept_low + i * s.size + start : piece_low;
               NEXT_GROUP(x) NEXT_GROUP(y) NAME(exponentials)(PIECE_OF(x), e, high, low, i, count, beside);
               ADD_PIECE(sums, TO_ADD(NUMBER(high, 0), NUMBER(low, 0))))
    NAME(add_up)(&sums, s, beside);
    NAME(share)(e, sums.total, s, params, &shares, beside);
    EACH_ROW(const double quotient = shares.factor[r] * 0x1p64; factor[r] = (float)quotient;
             factor_low[r] = (float)(quotient - factor[r]);)
    EACH_PIECE(float *const piece = PIECE_OF(y); const float *const high = is_kept ? piece : piece_high;
               const float *const low = is_kept ? kept_low + i * s.size + start : piece_low;
               if (!is_kept)
                   NAME(exponentials)(PIECE_OF(x), e, piece_high, piece_low, i, count, beside);
               NUMBERS(const float a = NUMBER(high, 0), share = OF_ROW(factor);
                       WRITE(piece, s_fma(a, share, s_fma(NUMBER(low, 0), share, a * OF_ROW(factor_low))) * 0x1p-64f)))
    return 1;
}

#else

GROUP(softmax_forward)
{
    ARRAYS_2
    R kept[IS_DOUBLE ? 1 : KEPT], piece_high[CHUNK];
    const int is_kept = IS_DOUBLE || s.lines * s.size <= KEPT;
    NAME(reference) reference, *const e = &reference;
    NAME(sums) sums;
    NAME(shares) shares;
    if (!NAME(refer_to)(x, x_step, s, rows, params, e, beside))
        return 0;
    NAME(start_sums)(&sums, s, beside);
    EACH_PIECE(R *const high = IS_DOUBLE ? (R *)PIECE_OF(y) : is_kept ? kept + i * s.size + start : piece_high;
               NEXT_GROUP(x) NEXT_GROUP(y) NAME(exponentials)(PIECE_OF(x), e, high, NULL, i, count, beside);
               ADD_PIECE(sums, NUMBER(high, 0), 0))
    NAME(add_up)(&sums, s, beside);
    NAME(share)(e, sums.total, s, params, &shares, beside);
    EACH_PIECE(T *const piece = PIECE_OF(y);
               const R *const high = IS_DOUBLE ? (R *)piece : is_kept ? kept + i * s.size + start : piece_high;
               if (!is_kept)
                   NAME(exponentials)(PIECE_OF(x), e, piece_high, NULL, i, count, beside);
               NUMBERS(WRITE(piece, (T)(NUMBER(high, 0) * OF_ROW(shares.factor)))))
    return 1;
}

#define SOFTMAX_SUMS                                                                                             \
    ROOM                                                                                                         \
    NAME(reference) reference, *const e = &reference;                                                            \
    NAME(sums) sums, products;                                                                                   \
    NAME(shares) shares;                                                                                         \
    double mean[MOST]; /* Σ grad p */                                                                            \
    if (!NAME(refer_to)(x, x_step, s, rows, params, e, beside))                                                  \
        return 0;                                                                                                \
    NAME(start_sums)(&sums, s, beside);                                                                          \
    NAME(start_sums)(&products, s, beside);                                                                      \
    EACH_PIECE(NEXT_GROUP(x) NEXT_GROUP(grad) NEXT_GROUP(y) EXPONENTIALS const T *const gradient = PIECE_OF(grad); \
               ADD_PIECE(sums, NUMBER(high, 0), 0)                                                               \
               ADD_PIECE(products, NUMBER(high, 0) * NUMBER(gradient, 0), 0))                                    \
    NAME(add_up)(&sums, s, beside);                                                                              \
    NAME(add_up)(&products, s, beside);                                                                          \
    NAME(share)(e, sums.total, s, params, &shares, beside);                                                      \
    EACH_ROW(mean[r] = products.total[r] * shares.factor[r];)

/* p (grad - Σ grad p) / t */
GROUP(softmax_backward)
{
    ARRAYS_3
    SOFTMAX_SUMS
    const double scale = e->inverse.scale;
    EACH_PIECE(KEPT_EXPONENTIALS const T *const gradient = PIECE_OF(grad); T *const piece = PIECE_OF(y);
               NUMBERS(WRITE(piece, (T)(NUMBER(high, 0) * OF_ROW(shares.factor) *
                                        (NUMBER(gradient, 0) - OF_ROW(mean)) * scale))))
    return 1;
}

GROUP(softmax_backward_from_output)
{
    ARRAYS_3
    const double scale = scaling_by_inverse(params[0]).scale;
    NAME(sums) products;
    NAME(start_sums)(&products, s, beside);
    EACH_PIECE(const T *const gradient = PIECE_OF(grad); const T *const share = PIECE_OF(x);
               ADD_PIECE(products, (double)NUMBER(gradient, 0) * NUMBER(share, 0), 0))
    NAME(add_up)(&products, s, beside);
    EACH_PIECE(if (n <= KEPT) { NEXT_GROUP(grad) NEXT_GROUP(x) }
               const T *const gradient = PIECE_OF(grad); const T *const share = PIECE_OF(x);
               T *const piece = PIECE_OF(y);
               NUMBERS(WRITE(piece, (T)(NUMBER(share, 0) * (NUMBER(gradient, 0) - OF_ROW(products.total)) * scale))))
    return 1;
}

/* By the temperature: x/t changes by -x/t² */
GROUP(softmax_gradient_0)
{
    ARRAYS_3
    SOFTMAX_SUMS
    const double scale = e->inverse.scale;
    NAME(start_sums)(&sums, s, beside);
    EACH_PIECE(KEPT_EXPONENTIALS const T *const gradient = PIECE_OF(grad); const T *const piece = PIECE_OF(x);
               ADD_PIECE(sums, v_slope(NUMBER(high, 0) * OF_ROW(shares.factor), (double)NUMBER(piece, 0)) *
                                   (NUMBER(gradient, 0) - OF_ROW(mean)), 0))
    NAME(add_up)(&sums, s, beside);
    for (int r = 0; r < rows; r++)
        y[r] = (T)(-sums.total[r] * v_square(scale));
    return 1;
}

/* By the sink: -p_sink Σ grad p */
GROUP(softmax_gradient_1)
{
    ARRAYS_3
    SOFTMAX_SUMS
    for (int r = 0; r < rows; r++)
        y[r] = (T)(-shares.share[r] * mean[r]);
    return 1;
}

#endif

/* ---- log_softmax, logsumexp, logmeanexp -------------------------------------------------------------------------- */

typedef WHOLE NAME(count);

/* log Σ exp(x) = maximum + log(1 + others).  The 1 of the maximum stays out of the sum, so that the logarithm of a
 * probability near 1 is -1e-9 and not 0. */
V_INLINE int NAME(find_others)(const T *x, ptrdiff_t x_step, row_shape s, int rows, R *kept, int is_kept,
                               NAME(reference) *e, double *others, const int kind, const int beside)
{
    R piece_high[CHUNK];
    float piece_low[CHUNK];
    NAME(sums) below;
    NAME(count) ties[MOST];
    if (!NAME(refer)(x, x_step, s, rows, kind, e, beside))
        return 0;
    NAME(start_sums)(&below, s, beside);
    for (int r = 0; r < s.rows; r++)
        ties[r] = 0;
#define TIE (NUMBER(piece, (T)NAN) == OF_ROW(e->maximum))
    EACH_PIECE(const T *const piece = PIECE_OF(x);
               R *const high = is_kept ? kept + i * s.size + start : piece_high;
               MAYBE_UNUSED const R *const low = (R *)piece_low;
               NEXT_GROUP(x) NAME(exponentials)(piece, e, high, (R *)piece_low, i, count, beside);
               ADD_PIECE(below, TO_ADD(v_where(TIE, 0, NUMBER(high, 0)), v_where(TIE, 0, NUMBER(low, 0))))
               if (beside) {
                   NUMBERS(ties[at + l] += TIE;)
               } else {
                   NAME(count) found[LANES] = {0};
                   NUMBERS(found[l] += TIE;)
                   for (int l = 0; l < LANES; l++)
                       ties[i] += found[l];
               })
#undef TIE
    NAME(add_up)(&below, s, beside);
    EACH_ROW(others[r] = below.total[r] * NAME(unit_of)(e, e->nearest[r], e->maximum[r]) + (ties[r] - 1);)
    return 1;
}

#define OTHERS(kept, is_kept, kind)                                                                              \
    NAME(reference) reference, *const e = &reference;                                                            \
    double others[MOST];                                                                                         \
    if (!NAME(find_others)(x, x_step, s, rows, kept, is_kept, e, others, kind, beside))                          \
        return 0;

/* inf - inf makes a row without a finite maximum NaN. */
#define UNLESS_INFINITE(r) (e->maximum[r] - e->maximum[r])

GROUP(log_softmax_forward)
{
    ARRAYS_2
    OTHERS(NULL, 0, PLAIN)
    double maximum[MOST], logarithm[MOST];
    EACH_ROW(maximum[r] = e->maximum[r]; logarithm[r] = v_log1p(others[r]) + UNLESS_INFINITE(r);)
    EACH_PIECE(const T *const number = PIECE_OF(x); T *const piece = PIECE_OF(y);
               NUMBERS(WRITE(piece, (T)((NUMBER(number, 0) - OF_ROW(maximum)) - OF_ROW(logarithm)))))
    return 1;
}

#define SUM_GRADIENTS                                                                                            \
    NAME(sums) gradients;                                                                                        \
    NAME(start_sums)(&gradients, s, beside);                                                                     \
    EACH_PIECE(const T *const gradient = PIECE_OF(grad); ADD_PIECE(gradients, (double)NUMBER(gradient, 0), 0))   \
    NAME(add_up)(&gradients, s, beside);

#if defined(SINGLE)

/* grad - exp(y) Σ grad for the logarithm y of a probability. */
V_INLINE float NAME(less_share)(float grad, float y, float sum, float sum_low)
{
    const s_pair share = s_times(s_exp_near(y, 0, -131, 64), (s_pair){sum * 0x1p-64f, sum_low * 0x1p-64f});
    const s_pair difference = s_sum_of_any(grad, -share.high);
    return difference.high + (difference.low - share.low);
}

GROUP(log_softmax_backward_from_output)
{
    ARRAYS_3
    float sum[MOST], sum_low[MOST], maximum[MOST];
    NAME(maxima)(x, x_step, s, maximum, beside);
    SUM_GRADIENTS
    int usual = 1; /* of logarithms and sums that float holds */
    for (int r = 0; r < rows; r++) {
        const double size = v_abs(gradients.total[r]);
        usual &= (maximum[r] <= 0) & (size < 0x1p20) & ((size > 0x1p-30) | (size == 0));
    }
    if (!usual)
        return 0;
    EACH_ROW(sum[r] = (float)gradients.total[r]; sum_low[r] = (float)(gradients.total[r] - sum[r]);)
    EACH_PIECE(if (n <= KEPT) { NEXT_GROUP(grad) NEXT_GROUP(x) }
               const T *const gradient = PIECE_OF(grad); const T *const number = PIECE_OF(x);
               T *const piece = PIECE_OF(y);
               NUMBERS(WRITE(piece, NAME(less_share)(NUMBER(gradient, 0), NUMBER(number, 0), OF_ROW(sum),
                                                     OF_ROW(sum_low)))))
    return 1;
}

#else

GROUP(log_softmax_backward_from_output)
{
    ARRAYS_3
    SUM_GRADIENTS
    EACH_PIECE(if (n <= KEPT) { NEXT_GROUP(grad) NEXT_GROUP(x) }
               const T *const gradient = PIECE_OF(grad); const T *const number = PIECE_OF(x);
               T *const piece = PIECE_OF(y);
               NUMBERS(WRITE(piece, (T)(NUMBER(gradient, 0) - v_exp(NUMBER(number, 0)) * OF_ROW(gradients.total)))))
    return 1;
}

/* grad - softmax(x) Σ grad */
GROUP(log_softmax_backward)
{
    ARRAYS_3
    ROOM
    OTHERS(kept, is_kept, PLAIN)
    SUM_GRADIENTS
    double factor[MOST];
    EACH_ROW(factor[r] = gradients.total[r] / (1 + others[r] + UNLESS_INFINITE(r)) *
                         NAME(unit_of)(e, e->nearest[r], e->maximum[r]);)
    EACH_PIECE(NEXT_GROUP(grad) KEPT_EXPONENTIALS const T *const gradient = PIECE_OF(grad); T *const piece = PIECE_OF(y);
               NUMBERS(WRITE(piece, (T)(NUMBER(gradient, 0) - NUMBER(high, 0) * OF_ROW(factor)))))
    return 1;
}

/* Maximum and logarithm may cancel: the exponentials are in double. */
GROUP(logsumexp_forward)
{
    ARRAYS_2
    OTHERS(NULL, 0, IN_DOUBLE)
    double sum[MOST];
    EACH_ROW(sum[r] = e->maximum[r] + v_log1p(others[r]);)
    for (int r = 0; r < rows; r++)
        y[r] = (T)sum[r];
    return 1;
}

GROUP(logsumexp_backward)
{
    ARRAYS_3
    ROOM
    OTHERS(kept, is_kept, PLAIN)
    double factor[MOST], gradient[MOST] = {0};
    for (int r = 0; r < rows; r++)
        gradient[r] = grad[r];
    EACH_ROW(factor[r] = NAME(unit_of)(e, e->nearest[r], e->maximum[r]) / (1 + others[r] + UNLESS_INFINITE(r));)
    EACH_PIECE(KEPT_EXPONENTIALS T *const piece = PIECE_OF(y);
               NUMBERS(WRITE(piece, (T)(NUMBER(high, 0) * OF_ROW(factor) * OF_ROW(gradient)))))
    return 1;
}

/* log((1 + others)/n); a logarithm near 0 is that of 1 + (1 + others - n)/n. */
GROUP(logmeanexp_forward)
{
    ARRAYS_2
    OTHERS(NULL, 0, IN_DOUBLE)
    double mean[MOST];
    EACH_ROW(const double sum = 1 + others[r];
             const double logarithm = v_where(2 * sum > n, v_log1p((others[r] + (1 - (double)n)) / n), v_log(sum / n));
             mean[r] = e->maximum[r] + logarithm;)
    for (int r = 0; r < rows; r++)
        y[r] = (T)mean[r];
    return 1;
}

#endif

/* ---- Functions over rows ----------------------------------------------------------------------------------------- */

/* Each expansion has a function of its own, for the sake of its stack.  Short rows are laid beside each other.
 * `numbers` is 1 << k for the array k, if any, of one number for a row; `otherwise` does a row that a group cannot. */
#define EXPANSION(name, function, arguments, numbers, otherwise)                                                 \
    MAYBE_UNUSED static void NAME(name)(const pyactx_row_array *arrays, ptrdiff_t rows, ptrdiff_t n, const T *params) \
    {                                                                                                            \
        const int beside = are_beside(arrays, arguments);                                                        \
        const int short_rows = !beside && n <= SHORT_LINE && rows >= FEW_LINES;                                  \
        const ptrdiff_t most = beside ? MOST : short_rows ? LANES : rows_at_once(n);                             \
        for (ptrdiff_t first = 0; first < rows; first += most) {                                                 \
            const int group = (int)(rows - first < most ? rows - first : most);                                  \
            T laid[arguments][SHORT_LINE * LANES];                                                               \
            pyactx_row_array here[arguments];                                                                    \
            for (int k = 0; k < arguments; k++) {                                                                \
                T *const row = (T *)arrays[k].first + first * arrays[k].row_step;                                \
                here[k] = (pyactx_row_array){row, arrays[k].row_step, arrays[k].step};                           \
                if (!short_rows || (numbers >> k & 1))                                                           \
                    continue;                                                                                    \
                here[k] = (pyactx_row_array){laid[k], 1, LANES};                                                 \
                for (int r = 0; r < group && k < arguments - 1; r++)                                             \
                    for (ptrdiff_t j = 0; j < n; j++)                                                            \
                        laid[k][j * LANES + r] = row[r * arrays[k].row_step + j];                                \
            }                                                                                                    \
            if (beside || short_rows ? NAME(function##_group)(here, n, group, params, 1)                         \
                                     : NAME(function##_group)(here, n, group, params, 0)) {                      \
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
#define NEVER(...)

#if defined(SINGLE)
EXPANSION(softmax_forward_default, softmax_forward, 2, 0, softmax_forward_general_f32)
EXPANSION(log_softmax_forward_default, log_softmax_forward, 2, 0, log_softmax_forward_default_f32)
EXPANSION(log_softmax_backward_from_output_default, log_softmax_backward_from_output, 3, 0,
          log_softmax_backward_from_output_default_f32)
#else
#define GENERAL(function, arguments, numbers) EXPANSION(function##_general, function, arguments, numbers, NEVER)
#define WITH_PARAMETERS GENERAL
#define WITHOUT_PARAMETERS(function, arguments, numbers)                                                         \
    EXPANSION(function##_default, function, arguments, numbers, NEVER)
EACH_ROW_FUNCTION(WITH_PARAMETERS, WITHOUT_PARAMETERS, GENERAL)
#endif

#undef NAME
#undef IS_SINGLE
#undef IS_DOUBLE
#undef MOST
#undef EACH_PIECE
#undef NUMBERS
#undef LANES_OF
#undef PIECE_OF
#undef NEXT_GROUP
#undef NUMBER
#undef WRITE
#undef OF_ROW
#undef EACH_ROW
#undef HALVES
#undef LOSES
#undef ADD
#undef TO_ADD
#undef ADD_PIECE
#undef ADD_THESE
#undef GROUP
#undef ARRAY
#undef ARRAYS_2
#undef ARRAYS_3
#undef ROOM
#undef EXPONENTIALS
#undef KEPT_EXPONENTIALS
#undef SOFTMAX_SUMS
#undef OTHERS
#undef UNLESS_INFINITE
#undef SUM_GRADIENTS
#undef EXPANSION
#undef NEVER
#undef GENERAL
#undef WITHOUT_PARAMETERS
#undef WITH_PARAMETERS
