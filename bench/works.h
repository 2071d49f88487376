// What gradus_bench can measure: one function a work, each returning the keys of its JSON line beyond work and threads.
#pragma once

#include "bench/measure.h"

#include <nlohmann/json.hpp>

namespace gradus::bench {

using Json = nlohmann::ordered_json;

/// The keys that every work reports: `count` of `unit` are done in one step.
inline Json report(const char* unit, double count, const Timing& step) {
  return {{"unit", unit},
          {"per_second", count / step.median},
          {"ms_per_step", step.median * 1e3},
          {"best_ms", step.best * 1e3}};
}

Json dispatch(const Options& options);
Json gemm(const Options& options);
Json tiny_mlp(const Options& options);
Json fashion_mlp(const Options& options);
Json optim_adamw(const Options& options);

}  // namespace gradus::bench
