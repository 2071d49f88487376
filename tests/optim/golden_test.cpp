// Every method of the catalogue against the trace of an independent implementation (tests/golden/optim).
#include "core/ops.h"
#include "optim/catalog.h"
#include "optim/check.h"
#include "tests/optim/traces.h"

#include <catch2/catch.hpp>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace gradus {
namespace {

struct Case {
  std::string name, loss;
  optim::OptionList options;
  std::vector<std::string> parameters;
  struct Step {
    Index number;
    std::vector<std::vector<double>> values;  // one a parameter
  };
  std::vector<Step> steps;
};

std::vector<Case> read_cases(const std::filesystem::path& path) {
  std::ifstream file(path);
  REQUIRE(file.good());
  std::vector<Case> cases;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string word;
    if (!(words >> word) || word == "#") continue;
    if (word == "case") {
      words >> cases.emplace_back().name;
    } else if (word == "options") {
      while (words >> word) cases.back().options.push_back(optim::parse_option(word));
    } else if (word == "parameters") {
      while (words >> word) cases.back().parameters.push_back(word);
    } else if (word == "loss") {
      words >> cases.back().loss;
    } else if (word == "step") {
      words >> cases.back().steps.emplace_back().number;
    } else {
      auto& values = cases.back().steps.back().values.emplace_back();
      for (double value; words >> value;) values.push_back(value);
    }
  }
  return cases;
}

/// One step with the prescribed gradients, or with the quadratic loss of harness.py: of this step, or of the term asked
/// for.
void take_step(optim::Optimizer& optimizer, const Case& trace, Index step, DType dtype) {
  if (trace.loss.empty()) {
    for (const NamedTensor& p : optimizer.parameters()) p.tensor.set_grad(traces::gradient(p.name, step, dtype));
    optimizer.step();
    return;
  }
  optimizer.step([&](int term) {
    const Index number = trace.loss == "terms" ? term + 1 : step;
    Tensor loss = scalar(0, dtype);
    for (const NamedTensor& p : optimizer.parameters()) {
      const Tensor curvature = traces::values(p.name, 1000 + number, 0.5, dtype, 1);
      loss = loss + sum(curvature * square(p.tensor - traces::values(p.name, 2000 + number, 1, dtype))) * 0.5;
    }
    return loss;
  });
}

void follow(const std::string& method, const Case& trace, DType dtype, double tolerance) {
  NamedTensors parameters;
  for (const std::string& name : trace.parameters) {
    Tensor tensor = traces::start(name, dtype);
    tensor.requires_grad_();
    parameters.push_back({name, tensor});
  }
  const auto optimizer = optim::make(method, parameters, trace.options);
  Index step = 0;
  for (const Case::Step& expected : trace.steps) {
    while (step < expected.number) take_step(*optimizer, trace, ++step, dtype);
    const optim::EvalWeights published(*optimizer);
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      const std::vector<double> got = parameters[i].tensor.to_vector();
      REQUIRE(got.size() == expected.values[i].size());
      double worst = 0;
      for (std::size_t j = 0; j < got.size(); ++j)
        worst =
            std::max(worst, std::abs(got[j] - expected.values[i][j]) / std::max(1e-2, std::abs(expected.values[i][j])));
      INFO(method << ", case " << trace.name << ", step " << step << ", " << parameters[i].name << ": worst " << worst);
      CHECK(worst <= tolerance);
    }
  }
}

TEST_CASE("every method follows an independent implementation") {
  for (const optim::Method& method : optim::catalog()) {
    const auto path =
        std::filesystem::path(GRADUS_SOURCE_DIR) / "tests/golden/optim" / (std::string(method.name) + ".txt");
    INFO(path.string());
    const auto cases = read_cases(path);
    REQUIRE(!cases.empty());
    for (const Case& trace : cases) {
      REQUIRE(trace.steps.back().number >= 10);
      follow(std::string(method.name), trace, DType::f64, 1e-6);
      // A line search decides by comparing losses: rounding in f32 sends it elsewhere.
      if (method.name != "lbfgs") follow(std::string(method.name), trace, DType::f32, 2e-3);
    }
  }
}

TEST_CASE("every traced variant keeps the contract") {  // intervals and optional slots are in use here
  for (const optim::Method& method : optim::catalog()) {
    const auto path =
        std::filesystem::path(GRADUS_SOURCE_DIR) / "tests/golden/optim" / (std::string(method.name) + ".txt");
    for (const Case& trace : read_cases(path)) {
      INFO(method.name << ", case " << trace.name);
      CHECK_NOTHROW(optim::check_optimizer_made_by(
          [&](NamedTensors parameters) { return method.make(std::move(parameters), trace.options); },
          {.elementwise = method.elementwise}));
    }
  }
}

TEST_CASE("every method in the headers is in the catalogue") {
  for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::path(GRADUS_SOURCE_DIR) / "optim")) {
    if (entry.path().extension() != ".h" || entry.path().filename() == "rule.h") continue;  // rule.h shows an example
    std::ifstream header(entry.path());
    for (std::string line; std::getline(header, line);) {
      const std::string marker = "kName = \"";
      const std::size_t at = line.find(marker);
      if (at == std::string::npos) continue;
      const std::size_t start = at + marker.size();
      const std::string name = line.substr(start, line.find('"', start) - start);
      INFO(entry.path().string() << " has the method " << name);
      CHECK_NOTHROW(optim::method(name));
    }
  }
}

TEST_CASE("the manual has a page for every method, with the defaults as they are") {
  std::ifstream file(std::filesystem::path(GRADUS_SOURCE_DIR) / "docs/optimizers.md");
  std::stringstream text;
  text << file.rdbuf();
  for (const optim::Method& method : optim::catalog()) {
    std::string defaults;
    for (const auto& [key, value] : method.options()) defaults += (defaults.empty() ? "" : " ") + key + "=" + value;
    INFO("docs/optimizers.md should have: ### " << method.name << ", and: - Defaults: `" << defaults << "`");
    const std::string page = text.str();
    const std::size_t start = page.find("\n### " + std::string(method.name) + "\n");
    REQUIRE(start != std::string::npos);
    CHECK(page.substr(start, page.find("\n### ", start + 5) - start).find("- Defaults: `" + defaults + "`\n") !=
          std::string::npos);
  }
}

}  // namespace
}  // namespace gradus
