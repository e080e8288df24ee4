"""What goes in and what comes out: layouts, out, dtypes, ufunc keywords, other arrays.  Always the same bits."""

import numpy as np
import pytest

from pyactx import testing


@pytest.fixture
def values(activation):
    return testing.values_of(activation, None)


@pytest.mark.parametrize("check", [testing.check_dtypes_and_shapes, testing.check_layouts, testing.check_lengths,
                                   testing.check_out, testing.check_consistency], ids=lambda c: c.__name__)
def test_promise(activation, values, check):
    check(activation, values)


def same(a, b):
    return a.dtype == b.dtype and a.tobytes() == b.tobytes()


def test_every_length_and_offset(elementwise, dtype):
    """Lengths 0 to 200 at offsets 0 to 16, contiguous and strided, forward and derivative."""
    values = testing.values_of(elementwise, None)
    x = (np.random.default_rng(9).normal(size=800) * 10).astype(dtype)
    for operation in (elementwise, elementwise.derivative):
        whole = operation(x, **values)
        for offset in range(17):
            for n in range(201):
                assert same(operation(x[offset : offset + n], **values), whole[offset : offset + n])
                strided = slice(offset, offset + 3 * n, 3)
                if n % 7 == 0:
                    assert same(operation(x[strided], **values), whole[strided])


def test_rows_do_not_depend_on_their_place(axiswise, dtype):
    for n in (*range(1, 40), 255, 256, 257, 1000):
        x = (np.random.default_rng(n).normal(size=(5, n)) * 10).astype(dtype)
        whole = axiswise(x)
        for row in range(5):
            assert same(axiswise(x[row]), whole[row])
            assert same(axiswise(x[row, ::-1][::-1]), whole[row])
            assert same(axiswise(np.repeat(x[row], 3)[::3]), whole[row])


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2, -3, (0,), (0, 1), (2, 0), (-1, 1), (0, 1, 2), None, ()])
def test_axes(axiswise, axis, dtype):
    x = np.random.default_rng(10).normal(size=(3, 4, 5)).astype(dtype)
    axes = tuple(range(3)) if axis is None else (axis,) if isinstance(axis, int) else axis
    last = tuple(range(-len(axes), 0))
    moved = np.moveaxis(x, axes, last)
    rows = np.ascontiguousarray(moved).reshape(*moved.shape[: 3 - len(axes)], -1)
    expected = np.moveaxis(axiswise(rows).reshape(moved.shape), last, axes)
    assert same(axiswise(x, axis=axis), np.ascontiguousarray(expected))
    out = np.empty_like(x)
    assert axiswise(x, axis=axis, out=out) is out and same(out, np.ascontiguousarray(expected))
    grad = np.random.default_rng(11).normal(size=x.shape).astype(dtype)
    backward = axiswise.backward(grad, x, axis=axis)
    flat = axiswise.backward(np.ascontiguousarray(np.moveaxis(grad, axes, last)).reshape(rows.shape), rows)
    assert same(backward, np.ascontiguousarray(np.moveaxis(flat.reshape(moved.shape), last, axes)))
    if axiswise.name == "softmax":
        np.testing.assert_allclose(expected.sum(axis=axes or ()), 1 if axes else expected, rtol=1e-6)


def test_rows_are_those_of_the_broadcast_arrays(axiswise, dtype):
    x = np.random.default_rng(24).normal(size=(2, 3, 4)).astype(dtype)
    grad = np.random.default_rng(25).normal(size=4).astype(dtype)
    for axis in (0, 1, 2, -1, (0, 2), None):
        full = axiswise.backward(np.ascontiguousarray(np.broadcast_to(grad, x.shape)), x, axis=axis)
        assert same(axiswise.backward(grad, x, axis=axis), full)


def test_zero_dimensional_rows(axiswise):
    assert axiswise(3.0) == axiswise(3.0, axis=None) == axiswise(3.0, axis=0) == (axiswise.name == "softmax")
    assert isinstance(axiswise(3.0), np.float64)


def test_fortran_order_is_kept(elementwise, dtype):
    values = testing.values_of(elementwise, None)
    x = np.asfortranarray(np.ones((3, 4), dtype))
    assert elementwise(x, **values).flags.f_contiguous
    assert elementwise(x, **values, order="C").flags.c_contiguous


@pytest.mark.parametrize("integer", [bool, np.int16, np.uint8, np.int32, np.int64, np.uint64])
def test_integers(activation, values, integer):
    x = np.array([[0, 1], [1, 1]], integer)
    y = activation(x, **values)
    assert y.dtype == np.result_type(np.dtype(integer), np.float32)
    assert same(y, activation(x.astype(y.dtype), **values))


def test_python_numbers(elementwise):
    values = testing.values_of(elementwise, None)
    for number in (3, -2.5, True, np.float32(1.5)):
        y = elementwise(number, **values)
        assert isinstance(y, np.float32 if isinstance(number, np.float32) else np.float64)
        assert y == elementwise(np.array([number], y.dtype), **values)[0]


def test_lists(activation, values):
    assert same(activation([[1, 2.5], [3, 4]], **values), activation(np.array([[1, 2.5], [3, 4]]), **values))


def test_memory_map(activation, values, tmp_path, dtype):
    x = np.linspace(-3, 3, 600).reshape(20, 30).astype(dtype)
    x.tofile(tmp_path / "x")
    mapped = np.memmap(tmp_path / "x", dtype, "r", shape=x.shape)
    assert same(np.asarray(activation(mapped, **values)), activation(x, **values))


@pytest.mark.parametrize("shift", [-40, -3, -1, 0, 1, 3, 40])
@pytest.mark.parametrize("step", [1, 2, -1])
def test_overlapping_out(elementwise, shift, step, dtype):
    """However out overlaps x, the result is as if it did not."""
    values = testing.values_of(elementwise, None)
    memory = np.random.default_rng(12).normal(size=1000).astype(dtype)
    x, out = memory[400:500], memory[450 + shift :][:100] if step == 1 else memory[300 + shift : 700][::step][:100]
    expected = elementwise(x.copy(), **values)
    assert elementwise(x, **values, out=out) is out and same(out, expected)


def test_out_of_other_layouts(activation, values, dtype):
    x = np.random.default_rng(13).normal(size=(6, 8)).astype(dtype)
    expected = activation(x, **values)
    for out in (np.empty((6, 16), dtype)[:, ::2], np.asfortranarray(np.empty_like(x)), np.empty((8, 6), dtype).T,
                np.empty(x.shape, x.dtype.newbyteorder())):
        assert activation(x, **values, out=out) is out
        np.testing.assert_array_equal(out, expected)
    wide = np.empty(x.shape, np.float64)
    np.testing.assert_array_equal(activation(x, **values, out=wide), expected.astype(np.float64))


def test_where(elementwise, dtype):
    values = testing.values_of(elementwise, None)
    x = np.linspace(-2, 2, 24).reshape(4, 6).astype(dtype)
    where = np.arange(24).reshape(4, 6) % 3 == 0
    out = np.full_like(x, 9)
    assert elementwise(x, **values, out=out, where=where) is out
    np.testing.assert_array_equal(out, np.where(where, elementwise(x, **values), 9))


def test_dtype_and_casting(activation, values):
    x = np.linspace(-2, 2, 7)
    assert same(activation(x, **values, dtype=np.float32, casting="same_kind"),
                activation(x.astype(np.float32), **values))
    with pytest.raises(TypeError):
        activation(x, **values, dtype=np.float32, casting="safe")


def test_a_python_parameter_never_widens(elementwise):
    for name in elementwise.parameters:
        x = np.float32([-1, 2])
        assert elementwise(x, **{name: 0.3}).dtype == np.float32
        assert elementwise(x, **{name: 1}).dtype == np.float32
        assert elementwise(x[::-1], **{name: 0.3}).dtype == np.float32
        assert elementwise(x, **{name: np.float64(0.3)}).dtype == np.float64
        # The same number, however it comes: rounded to the dtype of x once.
        assert same(elementwise(x, **{name: 0.3}), elementwise(x, **{name: np.float32([0.3])}))


def test_array_parameters(elementwise, dtype):
    """Broadcast as in NumPy, along an axis, one for each element: as if each element were computed by itself."""
    x = np.random.default_rng(14).normal(size=(4, 700, 3)).astype(dtype)
    for _ in elementwise.parameters:
        for shape, axis in [((3,), None), ((700,), 1), ((700, 1), None), ((4, 700, 3), None), ((1,), 0), ((4,), 0),
                            ((700,), -2)]:
            value = np.random.default_rng(15).uniform(-0.5, 1.5, shape).astype(dtype)
            aligned = value if axis is None else value.reshape([-1 if k == axis % 3 else 1 for k in range(3)])
            full = np.broadcast_to(aligned, x.shape)
            for operation in elementwise.operations():
                if operation.operation == "backward_from_output":
                    continue
                inputs = (x[::-1], x)[-len(operation.inputs) :]
                got = testing.as_tuple(operation(*inputs, value, axis=axis))
                for k in np.random.default_rng(16).integers(0, x.size, 25):
                    index = np.unravel_index(k, x.shape)
                    alone = testing.as_tuple(operation(*(a[index][None] for a in inputs), float(full[index])))
                    assert [g[index].tobytes() for g in got] == [a[0].tobytes() for a in alone]


def test_channels_of_a_batch(activations):
    """PReLU as networks use it: one slope for each channel of N, C, H, W."""
    x = np.random.default_rng(17).normal(size=(2, 3, 4, 4)).astype(np.float32)
    weight = np.float32([0.1, 0.2, 0.3])
    y = activations["prelu"](x, weight, axis=1)
    np.testing.assert_array_equal(y, np.where(x > 0, x, weight.reshape(1, 3, 1, 1) * x))
    np.testing.assert_array_equal(activations["prelu"](x, weight, 1), y)


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


def test_foreign_arrays_come_back_as_themselves(activation, values, dtype):
    x = np.linspace(-2, 2, 12).reshape(3, 4).astype(dtype)
    for operation in activation.operations():
        inputs = (x,) * len(operation.inputs)
        got = operation(*map(Metres, inputs), **values)
        for a, b in zip(testing.as_tuple(got), testing.as_tuple(operation(*inputs, **values)), strict=True):
            assert isinstance(a, Metres) and same(a.value, b)
    out = Metres(np.empty_like(x))
    activation(x, **values, out=out)
    assert same(out.value, activation(x, **values))


def test_refusing_arrays(activation, values):
    class Refuses:
        __array_ufunc__ = None

    with pytest.raises(TypeError):
        activation(Refuses(), **values)


def test_masked_arrays(elementwise, dtype):
    values = testing.values_of(elementwise, None)
    x = np.ma.masked_array(np.array([-1, 2, 3], dtype), mask=[False, True, False])
    y = elementwise(x, **values)
    assert isinstance(y, np.ma.MaskedArray) and y.mask.tolist() == [False, True, False]
    np.testing.assert_array_equal(y.compressed(), elementwise(x.data, **values)[[0, 2]])


def test_subclasses_are_kept(elementwise, dtype):
    class Named(np.ndarray):
        pass

    values = testing.values_of(elementwise, None)
    assert type(elementwise(np.ones(3, dtype).view(Named), **values)) is Named


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
    assert same(activation(Tensor(x), **values), activation(x, **values))
    with pytest.raises(TypeError, match=f"{activation.name}: x is a Tensor on another device than the CPU"):
        activation(Tensor(x, device=2), **values)


def test_ufuncs_are_ufuncs(activation, implementation, values):
    import pickle

    import pyactx

    for operation in activation.operations():
        assert isinstance(operation.ufunc, np.ufunc) == implementation.compiled
        ours = getattr(pyactx.ufuncs, operation.ufunc.__name__)
        assert pickle.loads(pickle.dumps(ours)) is ours
        x = np.linspace(-1, 1, 6).reshape(2, 3).astype(np.float32)
        inputs = (x,) * len(operation.inputs)
        got = operation.ufunc(*inputs, *(np.float32(v) for v in values.values()))
        for a, b in zip(testing.as_tuple(got), testing.as_tuple(operation(*inputs, **values)), strict=True):
            assert same(a, b)


def test_errstate_of_the_caller_is_kept(activation, values):
    with np.errstate(over="raise", invalid="warn"):
        before = np.geterr()
        activation(np.array([1e30, -np.inf])[::-1], **values)
        assert np.geterr() == before
