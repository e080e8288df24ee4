"""The libraries that are compared: how each is imported and told its threads, what its arrays and callables are.

Each is used as well as its documentation allows: PyTorch in inference mode, JAX compiled by jit and waited for, ONNX
Runtime with a model of one node and its inputs and outputs bound where the result goes to an existing array.
"""

import os
import sys
from contextlib import contextmanager
from functools import cache
from importlib import import_module

import numpy as np


class Library:
    """A library over NumPy's own arrays, which computes on one thread.

    Parameters
    ----------
    threads : int
        The largest number of threads it is going to be told.
    """

    module: str
    prefix = ""  # of the names of its arrays
    mutable = True  # whether its arrays are the memory of NumPy's, so that results can go there
    fixed_threads = False  # whether it always computes on the threads that it starts with
    spinning = 0.0  # seconds that its idle threads stay busy, waiting for more work

    def __init__(self, threads):
        module = import_module(self.module)
        self.version = module.__version__
        self.threads = None
        self.names = self.import_names(module)

    def import_names(self, module):
        """Return what the statements see."""
        return {self.module: module, "np": np}

    def use_threads(self, number):
        """Compute on so many threads from now on."""
        if number != self.threads:
            self.threads = number
            self.set_threads(number)

    def set_threads(self, number):
        pass

    def array(self, array):
        """Return the library's array of the same numbers."""
        return array

    def supports(self, definition, dtype):
        return True

    def callables(self, definition, arrays, axis):
        """Return what the library makes of a definition, by the names that statements call it."""
        return {}


class Pyactx(Library):
    module = "pyactx"
    spinning = 0.01

    def set_threads(self, number):
        self.names["pyactx"].set_num_threads(number)


class NumPy(Library):
    module = "numpy"


class SciPy(Library):
    module = "scipy"

    def import_names(self, module):
        return {"special": import_module("scipy.special"), "np": np}


class Numexpr(Library):
    module = "numexpr"

    def set_threads(self, number):
        self.names["numexpr"].set_num_threads(number)


class PyTorch(Library):
    module = "torch"
    prefix = "t"
    spinning = 0.01

    def import_names(self, torch):
        torch.inference_mode().__enter__()
        return {"torch": torch, "nn": torch._C._nn, "aten": torch.ops.aten}

    def set_threads(self, number):
        self.names["torch"].set_num_threads(number)

    def array(self, array):
        return self.names["torch"].from_numpy(array)


class TensorFlow(Library):
    module = "tensorflow"
    prefix = "f"
    mutable = False
    fixed_threads = True

    def __init__(self, threads):
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        with quiet():
            super().__init__(threads)
        self.names["tf"].config.threading.set_intra_op_parallelism_threads(threads)

    def import_names(self, tensorflow):
        return {"tf": tensorflow}

    def array(self, array):
        return self.names["tf"].convert_to_tensor(array)


class JAX(Library):
    module = "jax"
    prefix = "j"
    mutable = False
    fixed_threads = True

    def __init__(self, threads):
        os.environ.setdefault("JAX_PLATFORMS", "cpu")
        os.environ["PJRT_NPROC"] = str(threads)
        super().__init__(threads)
        self.compiled = cache(self.compile)

    def import_names(self, jax):
        jax.config.update("jax_enable_x64", True)
        return {"jax": jax}

    def array(self, array):
        return self.names["jax"].numpy.asarray(array)

    def callables(self, definition, arrays, axis):
        return self.compiled(definition, axis)

    def compile(self, definition, axis):
        jax = self.names["jax"]
        function = eval(f"lambda x: {definition}", {"jax": jax, "axis": axis})

        def both(x):
            y, product = jax.vjp(function, x)
            return y, product(jax.numpy.ones_like(y))[0]

        return {
            "value": jax.jit(function),
            "backward": jax.jit(lambda grad, x: jax.vjp(function, x)[1](grad)[0]),
            "both": jax.jit(both),
        }


class OnnxRuntime(Library):
    module = "onnxruntime"
    spinning = 0.04

    def __init__(self, threads):
        super().__init__(threads)
        self.session = cache(self.new_session)

    def import_names(self, onnxruntime):
        self.onnx = import_module("onnx")
        return {"onnxruntime": onnxruntime}

    def supports(self, node, dtype):
        """Whether there is a kernel that is right; all have one for float32."""
        if dtype not in node.dtypes:
            return False
        errors = self.names["onnxruntime"].capi.onnxruntime_pybind11_state
        lacking = () if dtype == "float32" else (errors.NotImplemented, errors.InvalidGraph)
        try:
            self.session(node, dtype, None, 1)
        except lacking:
            return False
        return True

    def callables(self, node, arrays, axis):
        x, out = arrays["x"], arrays["out"]
        session = self.session(node, str(x.dtype), axis, self.threads)
        binding = session.io_binding()
        binding.bind_input("x", "cpu", 0, x.dtype.type, x.shape, x.ctypes.data)
        binding.bind_output("y", "cpu", 0, out.dtype.type, out.shape, out.ctypes.data)
        return {"session": session, "binding": binding}

    def new_session(self, node, dtype, axis, threads):
        """Return a session with a model of the one node, for input of any shape."""
        helper, runtime = self.onnx.helper, self.names["onnxruntime"]
        attributes = dict(node.attributes) if axis is None else {"axis": axis}
        any_shape = helper.make_tensor_type_proto(helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), None)
        constants = [self.onnx.numpy_helper.from_array(np.array(constant, dtype), f"constant{number}")
                     for number, constant in enumerate(node.constants)]
        inputs = ["x", *(constant.name for constant in constants)]
        graph = helper.make_graph(
            [helper.make_node(node.operator, inputs, ["y"], domain=node.domain, **attributes)], node.operator,
            [helper.make_value_info("x", any_shape)], [helper.make_value_info("y", any_shape)], constants)
        opsets = [helper.make_opsetid("", 22), helper.make_opsetid("com.microsoft", 1)]
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        return runtime.InferenceSession(
            helper.make_model(graph, ir_version=10, opset_imports=opsets).SerializeToString(), options,
            providers=["CPUExecutionProvider"])


@contextmanager
def quiet():
    """Throw away what is written to stderr, also by what is no Python."""
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


PEERS = {
    "NumPy": NumPy, "SciPy": SciPy, "numexpr": Numexpr, "PyTorch": PyTorch, "TensorFlow": TensorFlow, "JAX": JAX,
    "ONNX Runtime": OnnxRuntime,
}


def load(names, threads):
    """Return the libraries by name, pyactx first, and say which are not installed."""
    libraries = {"pyactx": Pyactx(threads)}
    for name in names:
        try:
            libraries[name] = PEERS[name](threads)
        except ImportError as error:
            print(f"{name} is left out: {error}")
    return libraries
