# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: freethreading_compatible=True
"""Moves arrays through kernels: the direct path, the loops behind the ufuncs, and the choice of threads.

Names no activation.  Checks only what the direct path needs; every other call goes to `general`, in Python, which
checks it, words the errors and calls the ufunc.
"""

from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_CheckExact
from cpython.long cimport PyLong_AsLongLongAndOverflow, PyLong_CheckExact
from cpython.mem cimport PyMem_Malloc
from cpython.object cimport PyObject
from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_IsValid, PyCapsule_New
from cpython.tuple cimport PyTuple_GET_ITEM, PyTuple_GET_SIZE
from libc.math cimport isnan
from libc.stddef cimport ptrdiff_t
from libc.stdlib cimport free, malloc
from libc.string cimport strcpy

cimport numpy as cnp

from pyactx cimport (
    PYACTX_AXISWISE, PYACTX_ELEMENTWISE, PYACTX_GATED, PYACTX_KERNEL_CAPSULE, PYACTX_REDUCTION, pyactx_kernel,
)
from pyactx._driver cimport (
    BACKWARD_FROM_OUTPUT, BLOCK, BUFFER, FORWARD, MAX_ARRAYS, MAX_PARAMETERS, compute_units, environment,
    environment_enter, environment_leave, has_each, has_operation, has_rows, has_rows_beside, is_number, needs_each,
    operation, operation_inputs, operation_outputs, parallel_run, work,
)

import sys
import warnings
from importlib import import_module

cnp.import_array()
cnp.import_umath()

cdef extern from "cpu.h" nogil:
    int cpu_level() noexcept

cdef extern from "pool.h" nogil:
    const ptrdiff_t POOL_SMALLEST
    void *pool_malloc(void *, size_t) noexcept
    void *pool_calloc(void *, size_t, size_t) noexcept
    void *pool_realloc(void *, void *, size_t) noexcept
    void pool_free(void *, void *, size_t) noexcept
    int watch_fork_of_pool() noexcept
    void clear_memory "clear_pool"() noexcept
    void set_limit "set_pool_limit"(size_t) noexcept
    size_t pool_limit
    size_t pool_idle

cdef extern from "threads.h" nogil:
    int watch_fork() noexcept
    int thread_limit() noexcept
    long parallel_call_enter() noexcept
    void parallel_call_leave() noexcept
    int process_is_forked_child
    int process_thread_limit
    int caller_thread_limit

ctypedef fused real:
    float
    double

cdef enum:
    ROWS_AT_ONCE = 1 << 16      # elements of rows that lie apart which are brought together for one run
    # In copied bytes, of which a core in its cache does some 50 000 in a microsecond:
    WORK_PER_THREAD = 1 << 18   # a thread that is awake takes 1 microsecond to start, one that sleeps 5 to 15
    WORK_WITHOUT_GIL = 1 << 16  # below this, another thread would not get far before we want the GIL back

cdef long long EXACT_INTEGERS = 1LL << 53  # up to which a double holds every whole number

OPERATIONS = ("forward", "derivative", "backward", "backward_from_output", "value_and_derivative", "parameter_gradient")

# ---- Threads ---------------------------------------------------------------------------------------------------------

if watch_fork() != 0 or watch_fork_of_pool() != 0:
    raise OSError("pyactx: pthread_atfork failed, a forked child could hang")

cdef enum:
    UNKNOWN
    ABSENT
    PRESENT

cdef int parallel_state = UNKNOWN
cdef parallel_run parallel = NULL
parallel_failure = None


cdef void load_parallel() noexcept with gil:
    """Import the OpenMP module.  Without it every call is serial and nothing else changes."""
    global parallel, parallel_state, parallel_failure
    if parallel_state != UNKNOWN:
        return
    try:
        omp = import_module("pyactx._omp")
        parallel = <parallel_run> PyCapsule_GetPointer(omp.run_capsule, "pyactx.parallel_run")
        parallel_state = PRESENT
    except ModuleNotFoundError:
        parallel_failure = "built without OpenMP"
        parallel_state = ABSENT
    except Exception as error:
        parallel_failure = str(error)
        parallel_state = ABSENT
        try:
            warnings.warn(f"pyactx: OpenMP cannot be loaded, calls are serial: {error}", RuntimeWarning)
        except RuntimeWarning:
            pass


def openmp():
    """Return why calls are serial, or None where they may use threads.  Loads OpenMP."""
    load_parallel()
    return parallel_failure


def set_process_threads(int threads):
    global process_thread_limit
    process_thread_limit = threads


def set_caller_threads(int threads):
    """Limit the calls of this thread; 0 goes back to the limit of the process.  Returns the former value."""
    global caller_thread_limit
    cdef int former = caller_thread_limit
    caller_thread_limit = threads
    return former


def get_threads():
    return thread_limit()


def is_forked_child():
    return process_is_forked_child != 0


def cpu():
    """Return the best instruction set that this processor and its system support, by its place in the list."""
    return cpu_level()


cdef ptrdiff_t amount(const work *whole) noexcept nogil:
    """Return how much work it is.  What costs most, the exponential, is already in the output."""
    cdef ptrdiff_t cost = whole.kernel.cost
    if whole.operation == BACKWARD_FROM_OUTPUT:
        cost //= 4
    return whole.n * (sizeof(double) if whole.is_double else sizeof(float)) * max(cost, 1)


cdef void run(const work *whole) noexcept nogil:
    """Compute everything, on as many threads as the work is worth."""
    cdef ptrdiff_t threads
    if amount(whole) >= 2 * WORK_PER_THREAD and whole.units > 1 and thread_limit() > 1:
        if parallel_state == UNKNOWN:
            load_parallel()
        if parallel_state == PRESENT:
            threads = min(min(<ptrdiff_t> thread_limit(), amount(whole) // WORK_PER_THREAD), whole.units)
            threads = threads // parallel_call_enter()
            if threads > 1:
                parallel(whole, <int> threads)
            parallel_call_leave()
            if threads > 1:
                return
    compute_units(whole, 0, whole.units)


# ---- The loops behind the ufuncs -------------------------------------------------------------------------------------

ctypedef struct loop_data:
    const pyactx_kernel *kernel
    operation operation
    int parameter
    bint is_double


cdef work make_work(const loop_data *data) noexcept nogil:
    cdef work whole
    whole.kernel = data.kernel
    whole.operation = data.operation
    whole.parameter = data.parameter
    whole.is_double = data.is_double
    whole.each = False
    whole.params = NULL
    whole.beside = whole.n = whole.unit = whole.units = 0
    return whole


cdef inline void set_size(work *whole, ptrdiff_t n, ptrdiff_t unit) noexcept nogil:
    """Cut n elements into units."""
    whole.n = n
    whole.unit = unit
    whole.units = (n + unit - 1) // unit if unit > 0 else 0


cdef void gather(const char *source, cnp.npy_intp step, real *target, ptrdiff_t n) noexcept nogil:
    cdef ptrdiff_t i
    for i in range(n):
        target[i] = (<const real *> (source + i * step))[0]


cdef void scatter(const real *source, char *target, cnp.npy_intp step, ptrdiff_t n) noexcept nogil:
    cdef ptrdiff_t i
    for i in range(n):
        (<real *> (target + i * step))[0] = source[i]


cdef void elementwise(const real *no_array, char **operands, const cnp.npy_intp *steps, ptrdiff_t n,
                      const loop_data *data) noexcept nogil:
    """One inner loop: contiguous operands as they are, everything else through small buffers.

    `no_array` only says which type `real` is.
    """
    cdef work whole = make_work(data)
    cdef int inputs = operation_inputs(data.kernel, data.operation)
    cdef int arrays = inputs + operation_outputs(data.kernel, data.operation)
    cdef int n_params = data.kernel.n_params
    cdef real params[MAX_PARAMETERS * BUFFER]
    cdef real buffers[MAX_ARRAYS][BUFFER]
    cdef char *array[MAX_ARRAYS]
    cdef cnp.npy_intp step[MAX_ARRAYS]
    cdef bint contiguous = True
    cdef bint each = needs_each(data.kernel, data.operation)
    cdef ptrdiff_t start, m
    cdef ptrdiff_t most = BUFFER
    cdef int k
    # Operands are the inputs, the parameters, the outputs.
    for k in range(arrays):
        array[k] = operands[k if k < inputs else k + n_params]
        step[k] = steps[k if k < inputs else k + n_params]
        contiguous = contiguous and step[k] == <cnp.npy_intp> sizeof(real)
    for k in range(n_params):
        params[k] = (<real *> operands[inputs + k])[0]
        each = each or steps[inputs + k] != 0
    whole.params = params
    if contiguous and not each:
        for k in range(arrays):
            whole.arrays[k] = array[k]
        set_size(&whole, n, BLOCK)
        run(&whole)
        return
    whole.each = each and has_each(data.kernel, data.operation)
    if each and not whole.each:
        most = 1
    start = 0
    while start < n:
        m = min(most, n - start)
        for k in range(arrays):
            whole.arrays[k] = array[k] + start * step[k]
            if step[k] != <cnp.npy_intp> sizeof(real):
                if k < inputs:
                    gather(array[k] + start * step[k], step[k], buffers[k], m)
                whole.arrays[k] = buffers[k]
        if each:
            for k in range(n_params):
                gather(operands[inputs + k] + start * steps[inputs + k], steps[inputs + k], params + k * m, m)
        set_size(&whole, m, BUFFER)
        compute_units(&whole, 0, 1)
        for k in range(inputs, arrays):
            if step[k] != <cnp.npy_intp> sizeof(real):
                scatter(buffers[k], array[k] + start * step[k], step[k], m)
        start += m


cdef inline cnp.npy_intp distance(cnp.npy_intp step) noexcept nogil:
    return -step if step < 0 else step


cdef void gather_rows(const char *source, cnp.npy_intp row_step, cnp.npy_intp step, real *target, ptrdiff_t rows,
                      ptrdiff_t length) noexcept nogil:
    """Lay rows end to end, along memory: where neighbours are those of the next row, row by row would read it all anew."""
    cdef ptrdiff_t row, i
    if distance(row_step) < distance(step):
        for i in range(length):
            for row in range(rows):
                target[row * length + i] = (<const real *> (source + row * row_step + i * step))[0]
    else:
        for row in range(rows):
            gather(source + row * row_step, step, target + row * length, length)


cdef void scatter_rows(const real *source, char *target, cnp.npy_intp row_step, cnp.npy_intp step, ptrdiff_t rows,
                       ptrdiff_t length) noexcept nogil:
    cdef ptrdiff_t row, i
    if distance(row_step) < distance(step):
        for i in range(length):
            for row in range(rows):
                (<real *> (target + row * row_step + i * step))[0] = source[row * length + i]
    else:
        for row in range(rows):
            scatter(source + row * length, target + row * row_step, step, length)


cdef void axiswise(const real *no_array, char **operands, const cnp.npy_intp *steps, ptrdiff_t rows, ptrdiff_t length,
                   const loop_data *data) noexcept nogil:
    """One inner loop over rows, whose elements may lie apart."""
    cdef work whole = make_work(data)
    cdef int inputs = operation_inputs(data.kernel, data.operation)
    cdef int arrays = inputs + operation_outputs(data.kernel, data.operation)
    cdef int n_params = data.kernel.n_params
    cdef real params[MAX_PARAMETERS]
    cdef char *array[MAX_ARRAYS]
    cdef cnp.npy_intp row_step[MAX_ARRAYS]
    cdef cnp.npy_intp step[MAX_ARRAYS]
    cdef ptrdiff_t lengths[MAX_ARRAYS]
    cdef real *buffers[MAX_ARRAYS]
    cdef real *buffer
    cdef bint contiguous = True
    cdef bint beside = has_rows_beside(data.kernel, data.operation, data.parameter)
    cdef bint each = False
    cdef ptrdiff_t start, m, most
    cdef int k, core = 0
    # Steps: from row to row of every operand, then from element to element of those that have rows.
    for k in range(arrays):
        array[k] = operands[k if k < inputs else k + n_params]
        row_step[k] = steps[k if k < inputs else k + n_params]
        if is_number(data.kernel, data.operation, k):
            lengths[k], step[k] = 1, sizeof(real)
        else:
            lengths[k], step[k] = length, steps[arrays + n_params + core]
            core += 1
        contiguous = (contiguous and (lengths[k] <= 1 or step[k] == <cnp.npy_intp> sizeof(real))
                      and (rows == 1 or row_step[k] == lengths[k] * <cnp.npy_intp> sizeof(real)))
        beside = (beside and rows > 1 and row_step[k] == <cnp.npy_intp> sizeof(real)
                  and step[k] % <cnp.npy_intp> sizeof(real) == 0)
    for k in range(n_params):
        params[k] = (<real *> operands[inputs + k])[0]
        each = each or (steps[inputs + k] != 0 and rows > 1)
    whole.params = params
    whole.unit = length
    if (contiguous or beside) and not each:
        for k in range(arrays):
            whole.arrays[k] = array[k]
            whole.steps[k] = step[k] // <cnp.npy_intp> sizeof(real)
        whole.beside = 0 if contiguous else rows
        whole.units = rows
        whole.n = rows * length
        run(&whole)
        return
    most = 1 if each else max(1, min(rows, ROWS_AT_ONCE // max(length, 1)))
    buffer = <real *> malloc(arrays * most * max(length, 1) * sizeof(real))
    if buffer == NULL:
        with gil:
            PyErr_NoMemory()
        return
    for k in range(arrays):
        whole.arrays[k] = buffers[k] = buffer + k * most * max(length, 1)
    start = 0
    while start < rows:
        m = min(most, rows - start)
        for k in range(inputs):
            gather_rows(array[k] + start * row_step[k], row_step[k], step[k], buffers[k], m, lengths[k])
        if each:
            for k in range(n_params):
                params[k] = (<real *> (operands[inputs + k] + start * steps[inputs + k]))[0]
        whole.units = m
        whole.n = m * length
        run(&whole)
        for k in range(inputs, arrays):
            scatter_rows(buffers[k], array[k] + start * row_step[k], row_step[k], step[k], m, lengths[k])
        start += m
    free(buffer)


cdef extern from "Python.h":
    PyObject *PyErr_NoMemory()


cdef void ufunc_loop(char **operands, const cnp.npy_intp *dimensions, const cnp.npy_intp *steps,
                     void *data) noexcept nogil:
    cdef const loop_data *loop = <const loop_data *> data
    cdef environment saved = environment_enter()
    if has_rows(loop.kernel):
        if loop.is_double:
            axiswise(<const double *> NULL, operands, steps, dimensions[0], dimensions[1], loop)
        else:
            axiswise(<const float *> NULL, operands, steps, dimensions[0], dimensions[1], loop)
    elif loop.is_double:
        elementwise(<const double *> NULL, operands, steps, dimensions[0], loop)
    else:
        elementwise(<const float *> NULL, operands, steps, dimensions[0], loop)
    environment_leave(saved)


# NumPy copies neither the tables nor the texts of a ufunc, and a ufunc lives as long as anybody holds it.
_texts_of_ufuncs = []


cdef const pyactx_kernel *kernel_of(capsule) except NULL:
    return <const pyactx_kernel *> PyCapsule_GetPointer(capsule, PYACTX_KERNEL_CAPSULE)


def make_ufunc(capsule, str operation_name, int parameter, str name, str doc, signature):
    """Return the ufunc of one operation of a kernel, for rows the gufunc of that signature."""
    cdef const pyactx_kernel *kernel = kernel_of(capsule)
    cdef operation op = <operation> <int> OPERATIONS.index(operation_name)
    cdef int inputs = operation_inputs(kernel, op)
    cdef int outputs = operation_outputs(kernel, op)
    cdef int operands = inputs + kernel.n_params + outputs
    cdef loop_data *data = <loop_data *> PyMem_Malloc(2 * sizeof(loop_data))
    cdef void **pointers = <void **> PyMem_Malloc(2 * sizeof(void *))
    cdef cnp.PyUFuncGenericFunction *loops = <cnp.PyUFuncGenericFunction *> PyMem_Malloc(2 * sizeof(void *))
    cdef char *types = <char *> PyMem_Malloc(2 * operands)
    cdef int i
    if data == NULL or pointers == NULL or loops == NULL or types == NULL:
        raise MemoryError
    for i in range(2):
        data[i].kernel = kernel
        data[i].operation = op
        data[i].parameter = parameter
        data[i].is_double = i == 1
        pointers[i] = &data[i]
        loops[i] = <cnp.PyUFuncGenericFunction> ufunc_loop
    for i in range(2 * operands):
        types[i] = cnp.NPY_FLOAT if i < operands else cnp.NPY_DOUBLE
    name_bytes, doc_bytes = name.encode(), doc.encode()
    if signature is not None:
        signature_bytes = signature.encode()
        _texts_of_ufuncs.append((capsule, name_bytes, doc_bytes, signature_bytes))
        return cnp.PyUFunc_FromFuncAndDataAndSignature(
            loops, pointers, types, 2, inputs + kernel.n_params, outputs, cnp.PyUFunc_None, name_bytes, doc_bytes, 0,
            signature_bytes)
    _texts_of_ufuncs.append((capsule, name_bytes, doc_bytes))
    return cnp.PyUFunc_FromFuncAndData(
        loops, pointers, types, 2, inputs + kernel.n_params, outputs, cnp.PyUFunc_None, name_bytes, doc_bytes, 0)


def describe(capsule):
    """Return what a kernel says of itself: name, kind, cost, parameters (NaN: required) and the operations it has.

    Raises TypeError for what is no kernel, ValueError for one that could not run.
    """
    if not PyCapsule_IsValid(capsule, PYACTX_KERNEL_CAPSULE):
        raise TypeError(f"kernel must be a PyCapsule named {PYACTX_KERNEL_CAPSULE.decode()!r}, got {capsule!r}")
    cdef const pyactx_kernel *kernel = kernel_of(capsule)
    if kernel.struct_size < sizeof(pyactx_kernel):
        raise ValueError(f"the kernel was compiled for another pyactx: its struct_size is {kernel.struct_size}, "
                         f"not {sizeof(pyactx_kernel)}")
    kinds = {PYACTX_ELEMENTWISE: "elementwise", PYACTX_AXISWISE: "axiswise", PYACTX_REDUCTION: "axiswise",
             PYACTX_GATED: "gated"}
    if kernel.kind not in kinds:
        raise ValueError(f"the kernel is of an unknown kind: {kernel.kind}")
    if kernel.n_params > MAX_PARAMETERS:
        raise ValueError(f"the kernel has {kernel.n_params} parameters, at most {MAX_PARAMETERS} are possible")
    if kernel.name == NULL or not has_operation(kernel, FORWARD):
        raise ValueError("the kernel must have a name, and forward for float and double")
    if kernel.n_params and (kernel.parameter_names == NULL or kernel.parameter_defaults == NULL):
        raise ValueError("the kernel must name its parameters and their defaults")
    return {
        "name": kernel.name.decode(),
        "kind": kinds[kernel.kind],
        "reduces": kernel.kind == PYACTX_REDUCTION,
        "cost": kernel.cost,
        "parameters": {kernel.parameter_names[k].decode(): kernel.parameter_defaults[k]
                       for k in range(kernel.n_params)},
        "operations": tuple(name for i, name in enumerate(OPERATIONS) if has_operation(kernel, <operation> <int> i)),
    }


# ---- Results ---------------------------------------------------------------------------------------------------------

cdef extern from "numpy/arrayobject.h":
    PyObject *PyDataMem_DefaultHandler

cdef cnp.PyDataMem_Handler pool_handler
strcpy(pool_handler.name, "pyactx_pool")
pool_handler.version = 1
pool_handler.allocator.malloc = pool_malloc
pool_handler.allocator.calloc = pool_calloc
pool_handler.allocator.realloc = pool_realloc
pool_handler.allocator.free = pool_free
cdef object pool = PyCapsule_New(&pool_handler, "mem_handler", NULL)


def no_pool():
    """Return why large results are never given memory that was used before, or None."""
    return None


def set_pool_limit(size_t bytes):
    set_limit(bytes)


def get_pool_limit():
    return pool_limit


def get_pool_idle():
    """Return how many bytes wait for the next result."""
    return pool_idle


def clear_pool():
    clear_memory()


cdef inline cnp.ndarray empty_like(cnp.ndarray x):
    return <cnp.ndarray> cnp.PyArray_SimpleNew(cnp.PyArray_NDIM(x), cnp.PyArray_DIMS(x), cnp.PyArray_TYPE(x))


cdef cnp.ndarray from_pool_like(cnp.ndarray x):
    """NumPy gives the memory back to where it comes from.  Whoever has set another handler gets it for our results too."""
    former = cnp.PyDataMem_GetHandler()
    if <PyObject *> former != PyDataMem_DefaultHandler:
        return empty_like(x)
    cnp.PyDataMem_SetHandler(pool)
    try:
        return empty_like(x)
    finally:
        cnp.PyDataMem_SetHandler(former)


cdef inline cnp.ndarray new_like(cnp.ndarray x):
    if cnp.PyArray_NBYTES(x) >= POOL_SMALLEST and pool_limit > 0:
        return from_pool_like(x)
    return empty_like(x)


# ---- The direct path -------------------------------------------------------------------------------------------------

cdef inline bint overlaps(cnp.ndarray a, cnp.ndarray b) noexcept:
    """Whether two contiguous arrays of the same size share memory without being the same."""
    cdef char *p = <char *> cnp.PyArray_DATA(a)
    cdef char *q = <char *> cnp.PyArray_DATA(b)
    cdef ptrdiff_t size = cnp.PyArray_NBYTES(a)
    return p != q and p < q + size and q < p + size


cdef inline bint same_shape(cnp.ndarray a, cnp.ndarray b) noexcept:
    cdef int i
    if cnp.PyArray_NDIM(a) != cnp.PyArray_NDIM(b):
        return False
    for i in range(cnp.PyArray_NDIM(a)):
        if cnp.PyArray_DIMS(a)[i] != cnp.PyArray_DIMS(b)[i]:
            return False
    return True


cdef extern from "Python.h":
    ctypedef PyObject *(*vectorcallfunc)(PyObject *, PyObject *const *, size_t, PyObject *)
    ctypedef struct PyTypeObject:
        Py_ssize_t tp_vectorcall_offset
        unsigned long tp_flags
    unsigned long Py_TPFLAGS_HAVE_VECTORCALL
    Py_ssize_t PyVectorcall_NARGS(size_t)


cdef str NAME_OUT = sys.intern("out")
cdef str NAME_AXIS = sys.intern("axis")


cdef class Operation:
    """Something an activation does to arrays.

    A call whose arrays are exact, contiguous, aligned, native ndarrays of one shape and dtype and whose parameters are
    Python numbers, or arrays of one such element, goes straight to the kernel; `general(arguments, keywords)` takes
    every other.
    """

    cdef vectorcallfunc vectorcall
    cdef const pyactx_kernel *kernel
    cdef object capsule
    cdef operation operation
    cdef int parameter
    cdef bint is_general  # no call is plain
    cdef tuple parameter_names
    cdef double defaults[8]
    cdef dict __dict__
    cdef object __weakref__

    def __cinit__(self, *arguments, **keywords):
        self.vectorcall = <vectorcallfunc> call_operation

    def attach(self, capsule, str operation_name, int parameter, tuple parameter_names, tuple defaults):
        """Give the direct path its kernel; without one every call is general."""
        cdef int k
        self.capsule = capsule
        self.operation = <operation> <int> OPERATIONS.index(operation_name)
        self.parameter = parameter
        self.parameter_names = tuple(sys.intern(name) for name in parameter_names)
        for k in range(len(defaults)):
            self.defaults[k] = defaults[k]
        self.kernel = kernel_of(capsule)
        self.is_general = needs_each(self.kernel, self.operation)
        for k in range(MAX_ARRAYS):
            self.is_general = self.is_general or is_number(self.kernel, self.operation, k)
        if len(defaults) != self.kernel.n_params or len(parameter_names) != self.kernel.n_params:
            raise ValueError(f"the kernel has {self.kernel.n_params} parameters, not {len(parameter_names)}")

    def __call__(self, *arguments, **keywords):
        return self.general(arguments, keywords)

    cdef object direct(self, PyObject *const *arguments, Py_ssize_t given, PyObject *names):
        """Return the result, or None where the call is not of the plain kind."""
        cdef int inputs = operation_inputs(self.kernel, self.operation)
        cdef int outputs = operation_outputs(self.kernel, self.operation)
        cdef int n_params = self.kernel.n_params
        cdef bint rows = has_rows(self.kernel)
        cdef int i, k, ndim, type_number
        cdef cnp.ndarray first, result, second_result
        cdef PyObject *name
        cdef PyObject *value
        cdef PyObject *out = NULL
        cdef PyObject *values[8]  # of the parameters; NULL: the default
        cdef double number = 0
        cdef long long axis = -1
        cdef int overflow = 0
        cdef ptrdiff_t beside = 1  # rows, along axes behind that of the rows
        cdef float float_params[8]
        cdef double double_params[8]
        cdef work whole

        # The inputs
        if (self.is_general or given < inputs or given > inputs + (0 if rows else n_params)
                or not cnp.PyArray_CheckExact(<object> arguments[0])):
            return None
        first = <cnp.ndarray> arguments[0]
        ndim = cnp.PyArray_NDIM(first)
        type_number = cnp.PyArray_TYPE(first)
        if ((type_number != cnp.NPY_FLOAT and type_number != cnp.NPY_DOUBLE) or ndim == 0
                or not cnp.PyArray_ISCARRAY_RO(first)):
            return None
        for i in range(1, inputs):
            if (not cnp.PyArray_CheckExact(<object> arguments[i])
                    or cnp.PyArray_TYPE(<cnp.ndarray> arguments[i]) != type_number
                    or not cnp.PyArray_ISCARRAY_RO(<cnp.ndarray> arguments[i])
                    or not same_shape(first, <cnp.ndarray> arguments[i])):
                return None

        # The keywords.  One that is not interned, or given twice, is left to the general path.
        for k in range(n_params):
            values[k] = arguments[inputs + k] if inputs + k < given else NULL
        for i in range(PyTuple_GET_SIZE(<object> names) if names != NULL else 0):
            name = PyTuple_GET_ITEM(<object> names, i)
            value = arguments[given + i]
            if name == <PyObject *> NAME_OUT:
                out = value if value != <PyObject *> None else NULL
                continue
            if name == <PyObject *> NAME_AXIS and rows:
                if not PyLong_CheckExact(<object> value):
                    return None
                axis = PyLong_AsLongLongAndOverflow(<object> value, &overflow)
                if overflow != 0 or not -ndim <= axis < ndim:
                    return None
                continue
            for k in range(n_params):
                if name == <PyObject *> self.parameter_names[k] and values[k] == NULL:
                    values[k] = value
                    break
            else:
                return None

        if axis < 0:
            axis += ndim
        for k in range(<int> axis + 1, ndim):
            beside *= cnp.PyArray_DIMS(first)[k]
        if beside != 1 and rows and not has_rows_beside(self.kernel, self.operation, self.parameter):
            return None

        # The parameters
        for k in range(n_params):
            if values[k] == NULL:
                number = self.defaults[k]
                if isnan(number):  # required
                    return None
            elif rows or not read_number(<object> values[k], first, &number):
                return None
            double_params[k] = number
            float_params[k] = <float> number

        # The results
        second_result = None
        if out == NULL:
            result = new_like(first)
            second_result = new_like(first) if outputs == 2 else None
        elif outputs == 1:
            if not fits(<object> out, arguments, inputs):
                return None
            result = <cnp.ndarray> out
        else:
            if type(<object> out) is not tuple or PyTuple_GET_SIZE(<object> out) != 2:
                return None
            if (not fits((<tuple> out)[0], arguments, inputs) or not fits((<tuple> out)[1], arguments, inputs)
                    or cnp.PyArray_DATA((<tuple> out)[0]) == cnp.PyArray_DATA((<tuple> out)[1])
                    or overlaps((<tuple> out)[0], (<tuple> out)[1])):
                return None
            result, second_result = <tuple> out

        whole.kernel = self.kernel
        whole.operation = self.operation
        whole.parameter = self.parameter
        whole.is_double = type_number == cnp.NPY_DOUBLE
        whole.each = False
        whole.params = <const void *> double_params if whole.is_double else <const void *> float_params
        for i in range(inputs):
            whole.arrays[i] = cnp.PyArray_DATA(<cnp.ndarray> arguments[i])
        whole.arrays[inputs] = cnp.PyArray_DATA(result)
        if outputs == 2:
            whole.arrays[inputs + 1] = cnp.PyArray_DATA(second_result)
        whole.beside = 0 if beside == 1 else beside
        for i in range(inputs + outputs):
            whole.steps[i] = beside
        set_size(&whole, cnp.PyArray_SIZE(first), cnp.PyArray_DIMS(first)[axis] if rows else BLOCK)
        if whole.n > 0:
            if amount(&whole) < WORK_WITHOUT_GIL:
                run(&whole)
            else:
                with nogil:
                    run(&whole)
        return (result, second_result) if outputs == 2 else result


cdef inline bint read_number(object value, cnp.ndarray x, double *number):
    """Whether a parameter is one number that does not widen x: a Python number, or an array of one element."""
    cdef cnp.ndarray array
    cdef long long whole
    cdef int overflow = 0
    if PyFloat_CheckExact(value):
        number[0] = PyFloat_AS_DOUBLE(value)
        return True
    if PyLong_CheckExact(value):
        whole = PyLong_AsLongLongAndOverflow(value, &overflow)
        number[0] = <double> whole
        return overflow == 0 and -EXACT_INTEGERS <= whole <= EXACT_INTEGERS
    if not cnp.PyArray_CheckExact(value):
        return False
    array = <cnp.ndarray> value
    if (cnp.PyArray_SIZE(array) != 1 or cnp.PyArray_NDIM(array) > cnp.PyArray_NDIM(x)
            or cnp.PyArray_TYPE(array) != cnp.PyArray_TYPE(x) or not cnp.PyArray_ISCARRAY_RO(array)):
        return False
    if cnp.PyArray_TYPE(array) == cnp.NPY_DOUBLE:
        number[0] = (<double *> cnp.PyArray_DATA(array))[0]
    else:
        number[0] = (<float *> cnp.PyArray_DATA(array))[0]
    return True


cdef inline bint fits(object out, PyObject *const *arguments, int inputs):
    """Whether out can be written directly."""
    cdef cnp.ndarray array, first
    cdef int i
    if not cnp.PyArray_CheckExact(out):
        return False
    array = <cnp.ndarray> out
    first = <cnp.ndarray> arguments[0]
    if (cnp.PyArray_TYPE(array) != cnp.PyArray_TYPE(first) or not cnp.PyArray_ISCARRAY(array)
            or not same_shape(array, first)):
        return False
    for i in range(inputs):
        if overlaps(array, <cnp.ndarray> arguments[i]):
            return False
    return True


cdef object call_operation(object callable, PyObject *const *arguments, size_t count, PyObject *names):
    """tp_vectorcall of Operation."""
    cdef Operation self = <Operation> callable
    cdef Py_ssize_t given = PyVectorcall_NARGS(count)
    cdef Py_ssize_t i
    # Also for what happens outside the kernels: the rounding of parameters, and NumPy, which clears flags.
    cdef environment saved = environment_enter()
    try:
        if self.kernel != NULL:
            result = self.direct(arguments, given, names)
            if result is not None:
                return result
        return self.general(
            tuple([<object> arguments[i] for i in range(given)]),
            {<object> PyTuple_GET_ITEM(<object> names, i): <object> arguments[given + i]
             for i in range(PyTuple_GET_SIZE(<object> names))} if names != NULL else {})
    finally:
        environment_leave(saved)


cdef void enable_vectorcall():
    cdef Operation probe = Operation.__new__(Operation)
    cdef PyTypeObject *operation_type = <PyTypeObject *> Operation
    operation_type.tp_vectorcall_offset = <char *> &probe.vectorcall - <char *> <PyObject *> probe
    operation_type.tp_flags |= Py_TPFLAGS_HAVE_VECTORCALL


enable_vectorcall()


def inherit_vectorcall(subclass):
    """Class decorator: what Python 3.12 does by itself for a subclass that keeps __call__."""
    (<PyTypeObject *> subclass).tp_flags |= Py_TPFLAGS_HAVE_VECTORCALL
    return subclass
