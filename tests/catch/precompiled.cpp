// Nothing of its own: CMake precompiles only for what is compiled with it.
