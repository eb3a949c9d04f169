// One part of the library, linked alone.

#include <obs/log/logger.h>
#include <obs/log/writer.h>
#include <unistd.h>

int main() {
  obs::log::Writer writer(STDOUT_FILENO);
  const obs::log::Logger logger(writer, "logs-only", obs::log::Level::kInfo);
  logger.Info("Logged by the installed library");
}
