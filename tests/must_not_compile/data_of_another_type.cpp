// expect: dtype_of_t<int>
// int is not an element type: indices are std::int64_t.
#include "core/tensor.h"

int main() { gradus::ones({3}).data<int>(); }
