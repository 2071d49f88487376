// expect: use of deleted function
// The loader refers to its data set, which must live on.
#include "core/random.h"
#include "data/loader.h"
#include "data/synthetic.h"

using namespace gradus;

int main() {
  Rng rng(1);
  data::DataLoader loader(data::spirals({}, rng), {.batch_size = 32});
}
