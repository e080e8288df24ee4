"""What goes in and what comes out: layouts, out, dtypes, ufunc keywords, other arrays.  Always the same bits.

`check_activation`, which test_testing.py runs, goes through the layouts of all operations.
"""

import numpy as np
import pytest
from conftest import best_compiled, builtin, every_implementation

from pyactx import testing
from pyactx._definition import BOOK

POINTWISE = [*builtin("elementwise"), *builtin("gated", composed=False)]
pointwise = pytest.mark.parametrize("name", POINTWISE)


@pytest.fixture
def values(activation):
    return testing.values_of(activation, None)


def same(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def called(activation, x, **keywords):
    """Call an activation with x for each of its inputs."""
    return activation(*(x,) * len(activation.inputs), **keywords)


@every_implementation
@pointwise
def test_every_length_and_offset(activations, implementation, name, dtype):
    """Lengths 0 to 70 and some more at offsets 0 to 16, contiguous and strided, value and derivative."""
    activation = activations[name]
    values = testing.values_of(activation, None)
    x = (np.random.default_rng(9).normal(size=800) * 10).astype(dtype)
    lengths = (*range(71), 127, 128, 129, 200) if implementation.compiled else (0, 1, 2, 5, 17, 200)
    for operation in activation.operations()[:2]:
        arrays = (x,) * len(operation.inputs)
        whole = testing.as_tuple(operation(*arrays, **values))
        for offset in range(17) if implementation.compiled else (0, 1, 3):
            for n in lengths:
                parts = [slice(offset, offset + n)] + [slice(offset, offset + 3 * n, 3)] * (n % 7 == 0)
                for part in parts:
                    got = testing.as_tuple(operation(*(a[part] for a in arrays), **values))
                    assert [g.tobytes() for g in got] == [w[part].tobytes() for w in whole], (operation.label, part)


def memory(size):
    """Return so many bytes from a multiple of 64 on."""
    raw = np.empty(size + 64, np.uint8)
    return raw[-raw.ctypes.data % 64 :][:size]


def repeated(x, n=4000):
    array = memory(n * x.itemsize).view(x.dtype)
    array[...] = np.resize(x, n)
    return array


def at_byte(x, offset):
    """Return a copy that begins so many bytes after a multiple of 64."""
    copy = np.ndarray(x.shape, x.dtype, memory(x.nbytes + 64), offset % 64)
    copy[...] = x
    return copy


def check_bits(operation, what, expected, got):
    """As testing.same_bits, and quick where NaN has the same bits too."""
    expected, got = testing.as_tuple(expected), testing.as_tuple(got)
    if [e.tobytes() for e in expected] != [g.tobytes() for g in got]:
        testing.same_bits(operation, what, expected, got)


@best_compiled
@pointwise
def test_each_element_as_if_by_itself(activations, name, dtype):
    """Lengths 0 to 200 at all offsets to others, at offsets in bytes, and with gaps; all operations."""
    activation = activations[name]
    defaults = testing.values_of(activation, None)
    generator = np.random.default_rng(31)
    special = [0.0, -0.0, np.inf, -np.inf, np.nan, np.finfo(dtype).smallest_subnormal]
    arrays = [np.concatenate([generator.normal(size=245) * 10, generator.permutation(special)]).astype(dtype)
              for _ in range(3)]
    parameters = {p: generator.uniform(0.25, 1.5, 251).astype(dtype) for p in BOOK[name].parameters}
    offsets = 64 // np.dtype(dtype).itemsize
    for turn, operation in enumerate(activation.operations()):
        for varying in ({}, parameters) if parameters else ({},):
            inputs = [*arrays[: len(operation.inputs)], *varying.values()]

            def call(inputs, operation=operation, varying=varying, **out):
                given = dict(zip(varying, inputs[len(operation.inputs) :]))
                return testing.as_tuple(operation(*inputs[: len(operation.inputs)], **{**defaults, **given}, **out))

            alone = zip(*(call([x[i : i + 1] for x in inputs]) for i in range(251)))
            expected, whole = [repeated(np.concatenate(result)) for result in alone], list(map(repeated, inputs))
            targets = [repeated(np.ones(1, dtype), 300) for _ in expected]
            for n in range(201):
                for offset in range(offsets) if not varying else (n % offsets,):
                    place, to = slice(offset, offset + n), (offset + n + turn) % offsets
                    out = tuple(target[to : to + n] for target in targets)
                    for target in targets:
                        target.fill(7)
                    call([x[place] for x in whole], out=out[0] if len(out) == 1 else out)
                    check_bits(operation, f"{n} at {offset} to {to}", tuple(e[place] for e in expected), out)
                    if any(np.count_nonzero(target != 7) > n for target in targets):
                        raise AssertionError(f"{operation.label}: writes beyond {n} at {to}")
                offset, step = 5 * n + turn, (1, 3, -1)[n % 3]
                place = slice(offset, offset + n * step, step) if step > 0 else slice(offset + n, offset, step)
                parts = [at_byte(x[place], offset) if n % 4 == 0 else x[place] for x in whole]
                check_bits(operation, f"at {place}", tuple(e[place] for e in expected), call(parts))


def test_rows_do_not_depend_on_their_place(axiswise, implementation, dtype):
    values = testing.values_of(axiswise, None)
    for n in (*range(1, 67), 255, 256, 257, 1000) if implementation.compiled else (1, 2, 3, 17, 257):
        for operation in axiswise.operations():
            inputs = testing.inputs_of(axiswise, operation, np.dtype(dtype), values, (5, n))
            whole = operation(*inputs, **values)
            columns = operation(*(x.T.copy().T for x in inputs), **values)
            check_bits(operation, f"of columns of {n}", whole, columns)
            for row in range(5) if implementation.compiled else (4,):
                rows = [x[row] for x in inputs]
                arranged = [rows, [x[::-1].copy()[::-1] if x.ndim else x for x in rows],
                            [np.repeat(x, 3)[::3] if x.ndim else x for x in rows],
                            [at_byte(x, n + row) if x.ndim else x for x in rows]]
                for part in arranged[:: 1 if n < 8 or row == 4 else 3]:
                    check_bits(operation, f"of row {row} of {n} alone", whole[row], operation(*part, **values))


# ---- Axes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2, -3, (0,), (0, 1), (2, 0), (-1, 1), (0, 1, 2), None, ()])
def test_axes(axiswise, axis, dtype):
    """As if the axes were moved to the end and made one."""
    x = np.random.default_rng(10).normal(size=(3, 4, 5)).astype(dtype)
    axes = tuple(range(3)) if axis is None else (axis,) if isinstance(axis, int) else axis
    last = tuple(range(-len(axes), 0))
    kept = tuple(n for k, n in enumerate(x.shape) if k not in {a % 3 for a in axes})

    def as_rows(array):
        return np.ascontiguousarray(np.moveaxis(array, axes, last)).reshape(*kept, -1)

    def from_rows(rows):
        moved = np.moveaxis(x, axes, last).shape
        return np.ascontiguousarray(np.moveaxis(rows.reshape(moved), last, axes))

    reduces = axiswise._definition.reduces
    expected = np.asarray(axiswise(as_rows(x)))
    expected = expected if reduces else from_rows(expected)
    assert same(np.asarray(axiswise(x, axis=axis)), expected)
    out = np.empty(expected.shape, dtype)
    assert axiswise(x, axis=axis, out=out) is out and same(out, expected)
    grad = np.random.default_rng(11).normal(size=expected.shape).astype(dtype)
    flat = axiswise.backward(grad if reduces else as_rows(grad), as_rows(x))
    assert same(np.asarray(axiswise.backward(grad, x, axis=axis)), from_rows(flat))
    if axiswise.properties.range == (0, 1):
        np.testing.assert_allclose(expected.sum(axis=axes or ()), 1 if axes else expected, rtol=1e-6)
    if reduces:
        wide = axiswise(x, axis=axis, keepdims=True)
        assert wide.shape == tuple(1 if k in {a % 3 for a in axes} else n for k, n in enumerate(x.shape))
        assert wide.tobytes() == expected.tobytes()
        out = np.empty_like(wide)
        assert axiswise(x, axis=axis, keepdims=True, out=out) is out and same(out, wide)
        assert same(np.asarray(axiswise.backward(np.reshape(grad, wide.shape), x, axis=axis)), from_rows(flat))


def test_rows_are_those_of_the_broadcast_arrays(axiswise, dtype):
    x = np.random.default_rng(24).normal(size=(2, 3, 4)).astype(dtype)
    for axis in (0, 1, 2, -1, (0, 2), None):
        result = np.shape(axiswise(x, axis=axis))
        grad = np.random.default_rng(25).normal(size=result[-1:]).astype(dtype)
        full = axiswise.backward(np.ascontiguousarray(np.broadcast_to(grad, result)), x, axis=axis)
        assert same(axiswise.backward(grad, x, axis=axis), full)


def test_parameters_of_rows(axiswise, dtype):
    """One for each row, as if each row were computed by itself."""
    x = np.random.default_rng(28).normal(size=(4, 3, 6)).astype(dtype)
    for name in axiswise.parameters:
        value = (1.25 + np.arange(12).reshape(4, 3, 1) / 8).astype(dtype)
        for shape in ((4, 3, 1), (3, 1), (1, 1)):
            given = value[tuple(slice(n) for n in (4, *shape)[-3:])].reshape(shape) if len(shape) == 3 else (
                value[0, : shape[0]])
            full = np.broadcast_to(given, (4, 3, 1))
            got = axiswise(x, **{name: given})
            for i, j in np.ndindex(4, 3):
                assert same(got[i, j], axiswise(x[i, j], **{name: float(full[i, j, 0])})), (name, shape)


def test_zero_dimensional_rows(axiswise):
    """A number is a row of one element."""
    expected = axiswise(np.array([3.0])).item()
    assert axiswise(3.0) == axiswise(3.0, axis=None) == axiswise(3.0, axis=0) == expected
    assert isinstance(axiswise(3.0), np.float64)


# ---- Inputs ----------------------------------------------------------------------------------------------------------


@pointwise
def test_fortran_order_is_kept(activations, name, dtype):
    values = testing.values_of(activations[name], None)
    x = np.asfortranarray(np.ones((3, 4), dtype))
    assert called(activations[name], x, **values).flags.f_contiguous
    assert called(activations[name], x, **values, order="C").flags.c_contiguous


@pytest.mark.parametrize("integer", [bool, np.int16, np.uint8, np.int32, np.int64, np.uint64])
def test_integers(activation, values, integer):
    x = np.array([[0, 1], [1, 1]], integer)
    y = called(activation, x, **values)
    assert y.dtype == np.result_type(np.dtype(integer), np.float32)
    assert same(y, called(activation, x.astype(y.dtype), **values))


@pointwise
def test_python_numbers(activations, name):
    values = testing.values_of(activations[name], None)
    for number in (3, -2.5, True, np.float32(1.5)):
        y = called(activations[name], number, **values)
        assert isinstance(y, np.float32 if isinstance(number, np.float32) else np.float64)
        np.testing.assert_array_equal(y, called(activations[name], np.array([number], y.dtype), **values)[0])


def test_lists(activation, values):
    assert same(called(activation, [[1, 2.5], [3, 4]], **values),
                called(activation, np.array([[1, 2.5], [3, 4]]), **values))


def test_memory_map(activation, values, tmp_path, dtype):
    x = np.linspace(-3, 3, 600).reshape(20, 30).astype(dtype)
    x.tofile(tmp_path / "x")
    mapped = np.memmap(tmp_path / "x", dtype, "r", shape=x.shape)
    assert same(np.asarray(called(activation, mapped, **values)), called(activation, x, **values))


@pytest.mark.parametrize("layout", ["strided", "reversed", "Fortran", "foreign-endian", "broadcast"])
def test_layouts_of_compositions(activations, layout, dtype):
    """check_activation does so for all operations of all activations, with arrays of one shape."""
    for name in builtin(composed=True):
        activation = activations[name]
        values = testing.values_of(activation, None)
        x = np.random.default_rng(29).normal(size=(1, 4, 6)).astype(dtype)
        x = np.broadcast_to(x, (3, 4, 6))
        arranged = x if layout == "broadcast" else testing.LAYOUTS[layout](np.ascontiguousarray(x))
        assert np.array_equal(activation(arranged, **values), activation(np.ascontiguousarray(x), **values)), name


# ---- Outputs ---------------------------------------------------------------------------------------------------------


@pointwise
def test_overlapping_out(activations, name, dtype):
    """However out overlaps an input, the result is as if it did not."""
    activation = activations[name]
    values = testing.values_of(activation, None)
    for step in (1, 2, -1):
        for shift in (-40, -3, -1, 0, 1, 3, 40):
            for k in range(len(activation.inputs)):
                memory = np.random.default_rng(12).normal(size=1000).astype(dtype)
                x = memory[400:500]
                out = memory[400 + shift :][:100] if step == 1 else memory[300 + shift : 700][::step][:100]
                assert np.may_share_memory(x, out) or step == -1
                inputs = [np.linspace(-1, 1, 100).astype(dtype)] * len(activation.inputs)
                inputs[k] = x
                expected = activation(*(i.copy() for i in inputs), **values)
                assert activation(*inputs, **values, out=out) is out and same(np.ascontiguousarray(out), expected)


def test_out_of_other_layouts(activation, values, dtype):
    x = np.random.default_rng(13).normal(size=(6, 8, 4)).astype(dtype)
    expected = called(activation, x, **values)
    shape = expected.shape
    for out in (np.empty((*shape[:-1], 2 * shape[-1]), dtype)[..., ::2], np.asfortranarray(np.empty_like(expected)),
                np.empty(shape[::-1], dtype).T, np.empty(shape, expected.dtype.newbyteorder())):
        assert called(activation, x, **values, out=out) is out
        np.testing.assert_array_equal(out, expected)
    wide = np.empty(shape, np.float64)
    np.testing.assert_array_equal(called(activation, x, **values, out=wide), expected.astype(np.float64))


@pointwise
def test_where(activations, name, dtype):
    activation = activations[name]
    values = testing.values_of(activation, None)
    x = np.linspace(-2, 2, 24).reshape(4, 6).astype(dtype)
    where = np.arange(24).reshape(4, 6) % 3 == 0
    out = np.full_like(x, 9)
    assert called(activation, x, **values, out=out, where=where) is out
    np.testing.assert_array_equal(out, np.where(where, called(activation, x, **values), 9))


def test_dtype_and_casting(activation, values):
    x = np.linspace(-2, 2, 8)
    assert same(called(activation, x, **values, dtype=np.float32, casting="same_kind"),
                called(activation, x.astype(np.float32), **values))
    with pytest.raises(TypeError):
        called(activation, x, **values, dtype=np.float32, casting="safe")


# ---- Parameters ------------------------------------------------------------------------------------------------------


@pointwise
def test_a_python_parameter_never_widens(activations, name):
    activation = activations[name]
    defaults = testing.values_of(activation, None)
    for parameter in activation._definition.parameters:
        def with_value(x, value, parameter=parameter):
            return called(activation, x, **{**defaults, parameter: value})

        x = np.float32([-1, 2])
        assert with_value(x, 0.3).dtype == np.float32
        assert with_value(x, 1).dtype == np.float32
        assert with_value(x[::-1], 0.3).dtype == np.float32
        assert with_value(x, np.float64(0.3)).dtype == np.float64
        # The same number, however it comes: rounded to the dtype of x once.
        assert same(with_value(x, 0.3), with_value(x, np.float32([0.3])))


ARRAYS = [((3,), None), ((700,), 1), ((700, 1), None), ((4, 700, 3), None), ((1,), 0), ((4,), 0), ((700,), -2)]


@pytest.mark.parametrize("name", [name for name in POINTWISE if BOOK[name].parameters])
def test_array_parameters(activations, implementation, name, dtype):
    """Broadcast as in NumPy, along an axis, one for each element: as if each element were computed by itself.

    Each parameter in turn is an array, the others being numbers, and then all are.
    """
    activation = activations[name]
    x = np.random.default_rng(14).normal(size=(4, 700, 3)).astype(dtype)
    names = list(BOOK[name].parameters)
    defaults = testing.values_of(activation, None)
    several = [(parameter,) for parameter in names] + [tuple(names)] * (len(names) > 1)
    for turn, (shape, axis) in enumerate(ARRAYS):
        chosen = several if turn in (0, 3) else [several[turn % len(several)]]
        for arrays in chosen:
            given = {p: np.random.default_rng(15 + k).uniform(0.25, 1.5, shape).astype(dtype)
                     for k, p in enumerate(arrays)}
            full = {p: np.broadcast_to(value if axis is None else value.reshape(
                [-1 if k == axis % 3 else 1 for k in range(3)]), x.shape) for p, value in given.items()}
            for operation in activation.operations():
                if operation.operation == "backward_from_output":
                    continue
                inputs = (x[::-1], x, x[:, ::-1])[-len(operation.inputs) :]
                got = testing.as_tuple(operation(*inputs, **{**defaults, **given}, axis=axis))
                for k in np.random.default_rng(16).integers(0, x.size, 12 if implementation.compiled else 3):
                    index = np.unravel_index(k, x.shape)
                    numbers = {**defaults, **{p: float(value[index]) for p, value in full.items()}}
                    alone = testing.as_tuple(operation(*(a[index][None] for a in inputs), **numbers))
                    for g, a in zip(got, alone, strict=True):
                        both_nan = np.isnan(g[index]) and np.isnan(a[0])
                        assert same(g[index], a[0]) or both_nan, (operation.label, numbers)


def test_channels_of_a_batch(activations):
    """PReLU as networks use it: one slope for each channel of N, C, H, W."""
    x = np.random.default_rng(17).normal(size=(2, 3, 4, 4)).astype(np.float32)
    weight = np.float32([0.1, 0.2, 0.3])
    y = activations["prelu"](x, weight, axis=1)
    np.testing.assert_array_equal(y, np.where(x > 0, x, weight.reshape(1, 3, 1, 1) * x))
    np.testing.assert_array_equal(activations["prelu"](x, weight, 1), y)


@pytest.mark.parametrize("name", [name for name, definition in BOOK.items() if definition.variants])
def test_variants(activations, name, dtype):
    """An argument that chooses among activations: each is the one of that name, in all operations."""
    activation = activations[name]
    ((argument, variants),) = BOOK[name].variants.items()
    assert activation.parameters[argument] == next(iter(variants)) and variants[activation.parameters[argument]] == name
    for value, meant in variants.items():
        for operation in activation.operations():
            inputs = testing.inputs_of(activation, operation, np.dtype(dtype), testing.values_of(activation, None))
            other = activations[meant].named(operation.operation)
            for got in (operation(*inputs, **{argument: value}), operation(*inputs, value)):
                testing.same_bits(operation, f"{value} is not {meant}", other(*inputs), got)
    with pytest.raises(ValueError, match=f"{name}: {argument} must be one of '{next(iter(variants))}', "):
        called(activation, np.ones(3, dtype), **{argument: "tahn"})


# ---- Arrays of other kinds -------------------------------------------------------------------------------------------


class Metres:
    """A quantity of another library: it takes ufuncs into its own hands."""

    def __init__(self, value):
        self.value = np.asarray(value)

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **keywords):
        assert method == "__call__"
        if out is not None:
            keywords["out"] = tuple(o.value if isinstance(o, Metres) else o for o in out)
        results = ufunc(*(x.value if isinstance(x, Metres) else x for x in inputs), **keywords)
        return tuple(map(Metres, results)) if isinstance(results, tuple) else Metres(results)


def test_foreign_arrays_come_back_as_themselves(with_ufuncs, dtype):
    values = testing.values_of(with_ufuncs, None)
    for operation in with_ufuncs.operations():
        inputs = testing.inputs_of(with_ufuncs, operation, np.dtype(dtype), values, (4, 8))
        got = operation(*map(Metres, inputs), **values)
        for a, b in zip(testing.as_tuple(got), testing.as_tuple(operation(*inputs, **values)), strict=True):
            assert isinstance(a, Metres)
            testing.same_bits(operation, "is another for a foreign array", b, a.value)
    x = np.linspace(-2, 2, 12).reshape(3, 4).astype(dtype)
    expected = called(with_ufuncs, x, **values)
    out = Metres(np.empty_like(expected))
    called(with_ufuncs, x, **values, out=out)
    assert same(out.value, expected)


def test_refusing_arrays(activation, values):
    class Refuses:
        __array_ufunc__ = None

    with pytest.raises(TypeError):
        called(activation, Refuses(), **values)


@pointwise
def test_masked_arrays(activations, name, dtype):
    values = testing.values_of(activations[name], None)
    x = np.ma.masked_array(np.array([-1, 2, 3], dtype), mask=[False, True, False])
    y = called(activations[name], x, **values)
    assert isinstance(y, np.ma.MaskedArray) and y.mask.tolist() == [False, True, False]
    np.testing.assert_array_equal(y.compressed(), called(activations[name], x.data, **values)[[0, 2]])


@pointwise
def test_subclasses_are_kept(activations, name, dtype):
    class Named(np.ndarray):
        pass

    values = testing.values_of(activations[name], None)
    assert type(called(activations[name], np.ones(3, dtype).view(Named), **values)) is Named


class Tensor:
    """What a library offers through DLPack."""

    def __init__(self, array, device=1):
        self.array, self.device = array, device

    def __dlpack_device__(self):
        return self.device, 0

    def __dlpack__(self, **keywords):
        return self.array.__dlpack__(**keywords)


def test_tensors_are_read_without_a_copy(activation, values, dtype):
    x = np.linspace(-2, 2, 12).reshape(3, 4).astype(dtype)
    assert same(called(activation, Tensor(x), **values), called(activation, x, **values))
    with pytest.raises(TypeError, match=f"{activation.name}: {activation.inputs[0]} is a Tensor on another device"):
        called(activation, Tensor(x, device=2), **values)


def test_ufuncs_are_ufuncs(with_ufuncs, implementation):
    import pickle

    import pyactx

    values = testing.values_of(with_ufuncs, None)
    for operation in with_ufuncs.operations():
        assert isinstance(operation.ufunc, np.ufunc) == implementation.compiled
        ours = getattr(pyactx.ufuncs, operation.ufunc.__name__)
        assert pickle.loads(pickle.dumps(ours)) is ours
        inputs = testing.inputs_of(with_ufuncs, operation, np.dtype(np.float32), values, (2, 4))
        got = operation.ufunc(*inputs, *(np.float32(v) for v in values.values()))
        testing.same_bits(operation, "is another as a ufunc", operation(*inputs, **values), got)


def test_compositions_have_no_ufunc(activations):
    for name in builtin(composed=True):
        assert all(operation.ufunc is None for operation in activations[name].operations())


def test_errstate_of_the_caller_is_kept(activation, values):
    with np.errstate(over="raise", invalid="warn"):
        before = np.geterr()
        called(activation, np.array([1e30, -np.inf])[::-1], **values)
        assert np.geterr() == before
