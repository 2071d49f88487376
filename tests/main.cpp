// The main() of all unit tests. In a file of its own because Catch's implementation takes seconds to compile.
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
