// expect: constraint failure
// A listed op says what it must compute.
#include "core/op_list.h"

using namespace gradus;

struct Twice {
  static constexpr std::string_view kName = "twice";
  static constexpr int kSaved = 0;
};

using Family = OpList<Twice>;
