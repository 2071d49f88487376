#include "optim/catalog.h"

#include "optim/adafactor.h"
#include "optim/adagrad.h"
#include "optim/adam.h"
#include "optim/adam_variants.h"
#include "optim/averaging.h"
#include "optim/finite_sum.h"
#include "optim/lamb.h"
#include "optim/lbfgs.h"
#include "optim/lion.h"
#include "optim/low_rank.h"
#include "optim/muon.h"
#include "optim/normalized.h"
#include "optim/parameter_free.h"
#include "optim/rmsprop.h"
#include "optim/sam.h"
#include "optim/schedule_free.h"
#include "optim/sgd.h"
#include "optim/shampoo.h"
#include "optim/sophia.h"
#include "optim/steepest_descent.h"

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

// --- methods for matrices, with AdamW for the rest ---

template <class M, typename M::Options (*Defaults)()>
std::unique_ptr<Optimizer> make_matrix_method(NamedTensors parameters, const OptionList& options) {
  typename M::Options own = Defaults();
  AdamWOptions auxiliary = auxiliary_adamw();
  Takes takes = Takes::hidden;
  for (const auto& [key, text] : options) {
    if (key == "takes") {
      if (!from_text(text, takes)) detail::fail_option_value(M::kName, key, text, kind_of(takes));
    } else if (key.starts_with("aux.")) {
      set_option(std::string(M::kName) + " aux", auxiliary, key.substr(4), text);
    } else {
      set_option(M::kName, own, key, text);
    }
  }
  check_options(M::kName, own);
  check_options("adamw", auxiliary);
  if (takes == Takes::hidden) return with_adamw<M>(parameters, own, auxiliary, HiddenWeights(parameters));
  return with_adamw<M>(parameters, own, auxiliary, [](const NamedTensor& p) { return p.tensor.rank() >= 2; });
}

template <class M, typename M::Options (*Defaults)()>
OptionList matrix_method_options() {
  OptionList list = list_options(Defaults());
  list.emplace_back("takes", to_text(Takes::hidden));
  for (const auto& [key, value] : list_options(auxiliary_adamw())) list.emplace_back("aux." + key, value);
  return list;
}

template <class M>
typename M::Options plain() {
  return {};
}

template <class M, typename M::Options (*Defaults)() = &plain<M>>
constexpr Method matrix_method(std::string_view name, std::string_view idea, std::string_view state,
                               std::string_view source) {
  return {name, idea, state, source, false, &make_matrix_method<M, Defaults>, &matrix_method_options<M, Defaults>};
}

// --- wrappers around a base, SGD unless told otherwise ---

template <class W>
std::unique_ptr<Optimizer> make_wrapper(NamedTensors parameters, const OptionList& options) {
  typename W::Options own;
  std::string base = "sgd";
  OptionList inner;
  for (const auto& [key, text] : options) {
    if (key == "base") {
      base = text;
    } else if (key == "lr") {
      inner.emplace_back(key, text);
    } else if (key.starts_with("base.")) {
      inner.emplace_back(key.substr(5), text);
    } else {
      set_option(W::kName, own, key, text);
    }
  }
  return std::make_unique<W>(make(base, std::move(parameters), inner), own);
}

template <class W>
OptionList wrapper_options() {
  OptionList list = list_options(typename W::Options());
  list.emplace_back("base", "sgd");
  for (const auto& [key, value] : default_options<SGD>()) list.emplace_back("base." + key, value);
  return list;
}

template <class W>
constexpr Method wrapper(std::string_view idea, std::string_view state, std::string_view source, bool elementwise) {
  return {W::kName, idea, state, source, elementwise, &make_wrapper<W>, &wrapper_options<W>};
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
    matrix_method<Muon>("muon", "momentum made orthogonal; hidden matrices, AdamW for the rest", "mn",
                        "Jordan et al. 2024"),
    rule<SteepestDescent>("the steepest direction under a norm you choose", "0, mn with momentum",
                          "Bernstein and Newhouse 2024", kWholeTensor),
    rule<Shampoo>("a preconditioner for each axis", "2(m^2 + n^2) + mn", "Gupta et al. 2018", kWholeTensor),
    rule<SOAP>("Adam in Shampoo's eigenbasis", "2(m^2 + n^2) + 2mn", "Vyas et al. 2024", kWholeTensor),
    rule<ScheduleFreeSGD>("SGD with a running average in place of a schedule", "mn", "Defazio et al. 2024"),
    rule<ScheduleFreeAdamW>("AdamW with a running average in place of a schedule", "2mn", "Defazio et al. 2024"),
    rule<ScheduleFreeRAdam>("the same with RAdam's start in place of a warm-up", "2mn", "Defazio et al. 2024"),
    matrix_method<GaLore>("galore", "Adam in the gradient's leading directions", "mr + 2nr", "Zhao et al. 2024"),
    matrix_method<Fira>("fira", "GaLore plus what it leaves out, scaled", "mr + 2nr + 1", "Chen et al. 2024"),
    matrix_method<APOLLO>("apollo", "the gradient, scaled as Adam would a projection of it", "2nr + 2",
                          "Zhu et al. 2024"),
    matrix_method<APOLLO, &apollo_mini>("apollo_mini", "APOLLO of rank 1 with one scale a tensor", "2n + 2",
                                        "Zhu et al. 2024"),
    wrapper<SAM>("the gradient where the loss nearby is worst; ASAM with adaptive", "base", "Foret et al. 2021",
                 kWholeTensor),
    wrapper<LookSAM>("SAM every k steps, its direction reused between", "base + mn", "Liu et al. 2022", kWholeTensor),
    wrapper<EMA>("evaluates an exponential average of the weights", "base + mn", "Polyak and Juditsky 1992", true),
    wrapper<SWA>("evaluates the uniform average of the weights", "base + mn", "Izmailov et al. 2018", true),
    wrapper<Lookahead>("k steps forward, one step back", "base + mn", "Zhang et al. 2019", true),
    rule<Prodigy>("Adam that finds its learning rate", "4mn", "Mishchenko and Defazio 2024", kWholeTensor),
    rule<DAdaptAdam>("Adam that finds its learning rate", "3mn", "Defazio and Mishchenko 2023", kWholeTensor),
    rule<DAdaptSGD>("SGD that finds its learning rate", "2mn", "Defazio and Mishchenko 2023", kWholeTensor),
    rule<SophiaG>("momentum over curvature, clipped; wants sampled labels", "2mn", "Liu et al. 2024"),
    rule<LBFGS>("quasi-Newton with a line search; losses without noise", "2h mn + 2mn", "Liu and Nocedal 1989",
                kWholeTensor),
    rule<PrimalAveraging>("gradients at the average of the iterates", "mn", "Defazio et al. 2024"),
    wrapper<SVRG>("finite sums: full gradients now and then take the noise away", "base + 2mn",
                  "Johnson and Zhang 2013", kWholeTensor),
    wrapper<SAGA>("finite sums: the last gradient of each of N terms takes it away", "base + (N + 1) mn",
                  "Defazio et al. 2014", kWholeTensor),
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
