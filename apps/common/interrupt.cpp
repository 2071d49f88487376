#include "apps/common/interrupt.h"

#include <csignal>
#include <initializer_list>

namespace gradus::apps {
namespace {

volatile std::sig_atomic_t received = 0;

}  // namespace

void catch_interrupts() {
  struct sigaction action {};
  action.sa_handler = [](int) { received = 1; };
  // SA_RESETHAND: the second signal finds the default action. SA_RESTART: writes under way are not cut short.
  action.sa_flags = static_cast<int>(SA_RESETHAND) | SA_RESTART;
  sigemptyset(&action.sa_mask);
  for (const int signal : {SIGINT, SIGTERM}) sigaction(signal, &action, nullptr);
}

bool interrupted() { return received != 0; }

}  // namespace gradus::apps
