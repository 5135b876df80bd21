# Leaves out llama.cpp's "common" library, which the Python binding does not use: a third of the compile time.
set(LLAMA_BUILD_COMMON OFF)
