"""Build of the C extension: CFFI in API mode, one abi3 module, everything from native/."""

from setuptools import setup

setup(cffi_modules=["native/build_native.py:ffi"])
