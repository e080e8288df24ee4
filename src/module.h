/* An extension module of the kernels, for one instruction set: kernels_<isa>.c names it (PYACTX_ISA), setup.py gives it
 * its compiler flags. */
#include <Python.h>

#include "kernels.h"

#define STRING_(x) #x
#define STRING(x) STRING_(x)

/* Sets `isa` and `kernels`, a dict from name to capsule. */
static int execute(PyObject *module)
{
    PyObject *capsules = PyDict_New();
    if (!capsules)
        return -1;
    for (size_t i = 0; i < sizeof kernels / sizeof kernels[0]; i++) {
        PyObject *capsule = PyCapsule_New((void *)kernels[i], PYACTX_KERNEL_CAPSULE, NULL);
        if (!capsule || PyDict_SetItemString(capsules, kernels[i]->name, capsule) < 0) {
            Py_XDECREF(capsule);
            Py_DECREF(capsules);
            return -1;
        }
        Py_DECREF(capsule);
    }
    if (PyModule_AddObjectRef(module, "kernels", capsules) < 0) {
        Py_DECREF(capsules);
        return -1;
    }
    Py_DECREF(capsules);
    return PyModule_AddStringConstant(module, "isa", STRING(PYACTX_ISA));
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, execute},
#ifdef Py_MOD_GIL_NOT_USED
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, .m_name = "pyactx._kernels_" STRING(PYACTX_ISA),
    .m_doc = "The kernels of pyactx for one instruction set.", .m_slots = slots,
};

PyMODINIT_FUNC PASTE(PyInit__kernels_, PYACTX_ISA)(void)
{
    return PyModuleDef_Init(&definition);
}
