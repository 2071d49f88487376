// Ctrl-C and SIGTERM: the first asks the run to finish its step, save and stop; the second ends the program at once.
#pragma once

namespace gradus::apps {

/// From now on the first SIGINT or SIGTERM only sets a flag.
void catch_interrupts();
/// Whether one has come.
bool interrupted();

}  // namespace gradus::apps
