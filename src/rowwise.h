/* The axis-wise kernels: one row of n elements to one row.
 *
 * Include once per element type, with T the type and F its suffix.  Evaluated in double: a float row is rounded once,
 * at the end, so a probability is right to 0.51 ULP; a double row is summed with compensation, so that its length does
 * not show in the error.  The order of the additions depends on n alone, not on the instruction set, which keeps the
 * bits the same everywhere.
 *
 * exp is evaluated anew in each pass instead of being kept: kernels may not allocate, and y may be x.
 */

/* The row maximum.  NaN is skipped: it reaches every result through the sum. */
static double PASTE(row_maximum_, F)(const T *x, ptrdiff_t n)
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

/* Σ exp(x - maximum) into `sum`, and Σ grad exp(x - maximum) into `product` where grad is given. */
static void PASTE(row_exponentials_, F)(const T *x, const T *grad, ptrdiff_t n, double maximum,
                                        row_sum *sum, row_sum *product)
{
    for (ptrdiff_t start = 0; start < n; start += CHUNK) {
        const ptrdiff_t m = n - start < CHUNK ? n - start : CHUNK;
        double e[CHUNK];
        VECTORIZE for (ptrdiff_t i = 0; i < m; i++)
            e[i] = v_exp_difference(x[start + i], maximum);
        row_sum_add(sum, e, m);
        if (grad) {
            VECTORIZE for (ptrdiff_t i = 0; i < m; i++)
                e[i] *= grad[start + i];
            row_sum_add(product, e, m);
        }
    }
}

/* Σ a b, or Σ a where b is NULL */
static double PASTE(row_product_, F)(const T *a, const T *b, ptrdiff_t n)
{
    row_sum sum = {{0}, {0}};
    for (ptrdiff_t start = 0; start < n; start += CHUNK) {
        const ptrdiff_t m = n - start < CHUNK ? n - start : CHUNK;
        double e[CHUNK];
        VECTORIZE for (ptrdiff_t i = 0; i < m; i++)
            e[i] = (double)a[start + i] * (b ? b[start + i] : 1);
        row_sum_add(&sum, e, m);
    }
    return row_sum_total(&sum);
}

static void PASTE(softmax_forward_, F)(const T *x, T *y, ptrdiff_t n, const T *params)
{
    (void)params;
    row_sum sum = {{0}, {0}};
    const double maximum = PASTE(row_maximum_, F)(x, n);
    PASTE(row_exponentials_, F)(x, NULL, n, maximum, &sum, NULL);
    const double total = row_sum_total(&sum);
    VECTORIZE for (ptrdiff_t i = 0; i < n; i++)
        y[i] = (T)(v_exp_difference(x[i], maximum) / total);
}

/* y (grad - Σ grad y), y = softmax(x) */
static void PASTE(softmax_backward_, F)(const T *grad, const T *x, T *out, ptrdiff_t n, const T *params)
{
    (void)params;
    row_sum sum = {{0}, {0}}, product = {{0}, {0}};
    const double maximum = PASTE(row_maximum_, F)(x, n);
    PASTE(row_exponentials_, F)(x, grad, n, maximum, &sum, &product);
    const double total = row_sum_total(&sum);
    const double mean = row_sum_total(&product) / total;
    VECTORIZE for (ptrdiff_t i = 0; i < n; i++)
        out[i] = (T)(v_exp_difference(x[i], maximum) / total * (grad[i] - mean));
}

static void PASTE(softmax_backward_from_output_, F)(const T *grad, const T *y, T *out, ptrdiff_t n, const T *params)
{
    (void)params;
    const double mean = PASTE(row_product_, F)(grad, y, n);
    VECTORIZE for (ptrdiff_t i = 0; i < n; i++)
        out[i] = (T)(y[i] * (grad[i] - mean));
}

/* (x - maximum) - log(1 + Σ exp over the others): the 1 stays out of the sum, so that the logarithm of a probability
 * near 1 is -1e-9 and not 0. */
static void PASTE(log_softmax_forward_, F)(const T *x, T *y, ptrdiff_t n, const T *params)
{
    (void)params;
    row_sum sum = {{0}, {0}};
    const double maximum = PASTE(row_maximum_, F)(x, n);
    double ties = 0;
    for (ptrdiff_t start = 0; start < n; start += CHUNK) {
        const ptrdiff_t m = n - start < CHUNK ? n - start : CHUNK;
        double e[CHUNK];
        VECTORIZE for (ptrdiff_t i = 0; i < m; i++)
            e[i] = v_where(x[start + i] == maximum, 0, v_exp_difference(x[start + i], maximum));
        row_sum_add(&sum, e, m);
        for (ptrdiff_t i = 0; i < m; i++)
            ties += x[start + i] == maximum;
    }
    /* A row without a finite maximum has no logarithm: inf - inf makes it NaN. */
    const double others = row_sum_total(&sum) + (ties - 1) + (maximum - maximum);
    const double logarithm = v_log1p(others);
    VECTORIZE for (ptrdiff_t i = 0; i < n; i++)
        y[i] = (T)((x[i] - maximum) - logarithm);
}

/* grad - softmax(x) Σ grad */
static void PASTE(log_softmax_backward_, F)(const T *grad, const T *x, T *out, ptrdiff_t n, const T *params)
{
    (void)params;
    row_sum sum = {{0}, {0}};
    const double maximum = PASTE(row_maximum_, F)(x, n);
    PASTE(row_exponentials_, F)(x, NULL, n, maximum, &sum, NULL);
    const double mean = PASTE(row_product_, F)(grad, NULL, n) / row_sum_total(&sum);
    VECTORIZE for (ptrdiff_t i = 0; i < n; i++)
        out[i] = (T)(grad[i] - v_exp_difference(x[i], maximum) * mean);
}

static void PASTE(log_softmax_backward_from_output_, F)(const T *grad, const T *y, T *out, ptrdiff_t n,
                                                        const T *params)
{
    (void)params;
    const double total = PASTE(row_product_, F)(grad, NULL, n);
    VECTORIZE for (ptrdiff_t i = 0; i < n; i++)
        out[i] = (T)(grad[i] - v_exp(y[i]) * total);
}
