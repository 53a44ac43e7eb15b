"""Build of the C extensions: CFFI in API mode, two abi3 modules, everything from native/."""

from setuptools import setup

setup(cffi_modules=["native/build_native.py:ffi", "native/build_native.py:load_ffi"])
