#include "optim/catalog.h"

#include "optim/adafactor.h"
#include "optim/adagrad.h"
#include "optim/adam.h"
#include "optim/adam_variants.h"
#include "optim/lamb.h"
#include "optim/lion.h"
#include "optim/normalized.h"
#include "optim/rmsprop.h"
#include "optim/sgd.h"

#include <fmt/format.h>

namespace gradus::optim {
namespace {

/// Sets all options at once, because single ones may be impossible in between (Nesterov before momentum).
template <class M>
std::unique_ptr<Optimizer> make_rule(NamedTensors parameters, const OptionList& options) {
  typename M::Options values;
  for (const auto& [key, text] : options) set_option(M::kName, values, key, text);
  return std::make_unique<M>(std::move(parameters), values);
}

template <class M>
OptionList default_options() {
  return list_options(typename M::Options());
}

template <class M>
constexpr Method rule(std::string_view idea, std::string_view state, std::string_view source, bool elementwise = true) {
  return {M::kName, idea, state, source, elementwise, &make_rule<M>, &default_options<M>};
}

constexpr bool kWholeTensor = false;

constexpr Method kCatalog[] = {
    rule<SGD>("gradient descent; momentum, dampening, Nesterov", "0, mn with momentum", "Sutskever et al. 2013"),
    rule<NormalizedGD>("steps of fixed length along the gradient", "0, mn with momentum", "Cutkosky and Mehta 2020",
                       kWholeTensor),
    rule<SignSGD>("steps of fixed size per entry; Signum with momentum", "0, mn with momentum",
                  "Bernstein et al. 2018"),
    rule<Adagrad>("each entry slows down with the gradient it has seen", "mn", "Duchi et al. 2011"),
    rule<RMSprop>("AdaGrad that forgets", "mn, up to 3mn centered with momentum", "Tieleman and Hinton 2012"),
    rule<Adadelta>("steps in units of past steps, no learning rate", "2mn", "Zeiler 2012"),
    rule<Adam>("steps in units of the gradient's own scale", "2mn, 3mn with amsgrad", "Kingma and Ba 2015"),
    rule<AdamW>("Adam with weight decay apart from the gradient", "2mn, 3mn with amsgrad",
                "Loshchilov and Hutter 2019"),
    rule<Adamax>("Adam with the largest recent gradient as the scale", "2mn", "Kingma and Ba 2015"),
    rule<NAdam>("Adam with Nesterov momentum", "2mn + 2", "Dozat 2016"),
    rule<RAdam>("Adam that starts as SGD until its scale is known", "2mn", "Liu et al. 2020"),
    rule<Lion>("the sign of an interpolated momentum", "mn", "Chen et al. 2023"),
    rule<Adafactor>("second moments from row and column means", "m + n", "Shazeer and Stern 2018", kWholeTensor),
    rule<LAMB>("Adam with steps as long as the weights allow", "2mn", "You et al. 2020", kWholeTensor),
};

}  // namespace

std::span<const Method> catalog() { return kCatalog; }

const Method& method(std::string_view name) {
  for (const Method& entry : kCatalog)
    if (entry.name == name) return entry;
  std::string text = "unknown optimizer \"" + std::string(name) + "\"\n  valid:";
  std::vector<std::string> names;
  for (const Method& entry : kCatalog) {
    text += (names.empty() ? " " : ", ") + std::string(entry.name);
    names.emplace_back(entry.name);
  }
  if (const std::string near = nearest(name, names); !near.empty()) text += "\n  hint: did you mean " + near + "?";
  fail(text);
}

std::unique_ptr<Optimizer> make(std::string_view name, NamedTensors parameters, const OptionList& options) {
  return method(name).make(std::move(parameters), options);
}

std::pair<std::string, std::string> parse_option(std::string_view text) {
  const std::size_t equals = text.find('=');
  GRADUS_CHECK(equals != std::string_view::npos && equals > 0,
               "optimizer option \"" + std::string(text) + "\"\n  needs key=value, as in lr=0.01");
  return {std::string(text.substr(0, equals)), std::string(text.substr(equals + 1))};
}

std::string list_optimizers() {
  std::string text = fmt::format("{:<18} {:<26} {}\n", "name", "state per m x n matrix", "idea (source)");
  for (const Method& entry : kCatalog)
    text += fmt::format("{:<18} {:<26} {} ({})\n", entry.name, entry.state, entry.idea, entry.source);
  return text;
}

std::string describe_options(std::string_view name) {
  std::string text;
  for (const auto& [key, value] : method(name).options()) text += fmt::format("{}={}\n", key, value);
  return text;
}

}  // namespace gradus::optim
