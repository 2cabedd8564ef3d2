// Carries packets from one network namespace to another, each after a fixed
// time: a one-way delay for links.py, where the kernel has no netem.
//
//   delay CLIENT_NAMESPACE SERVER_NAMESPACE DELAY_MS
//
// Makes the device "delay0" (TUN) in each. What the client's kernel sends to
// its own comes out of the server's, DELAY_MS later. Prints "ready" once both are there.

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <string>
#include <utility>

namespace {

using Clock = std::chrono::steady_clock;

int Fail(const std::string& what) {
  std::perror(what.c_str());
  return -1;
}

// A TUN device in that namespace; the process stays there.
int OpenDevice(const std::string& name) {
  const int space = open(("/run/netns/" + name).c_str(), O_RDONLY | O_CLOEXEC);
  if (space < 0 || setns(space, CLONE_NEWNET) != 0) return Fail("namespace " + name);
  close(space);
  const int device = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
  if (device < 0) return Fail("/dev/net/tun");
  ifreq request{};
  std::strcpy(request.ifr_name, "delay0");
  request.ifr_flags = IFF_TUN | IFF_NO_PI;
  if (ioctl(device, TUNSETIFF, &request) != 0) return Fail("TUNSETIFF");
  return device;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "delay CLIENT_NAMESPACE SERVER_NAMESPACE DELAY_MS\n");
    return 2;
  }
  const int from = OpenDevice(argv[1]);
  const int to = OpenDevice(argv[2]);
  if (from < 0 || to < 0) return 1;
  const auto delay = std::chrono::milliseconds(std::atoi(argv[3]));
  std::puts("ready");
  std::fflush(stdout);

  std::deque<std::pair<Clock::time_point, std::string>> waiting;  // by the time they are due
  std::string packet(65536, '\0');
  for (;;) {
    pollfd readable{from, POLLIN, 0};
    timespec timeout{1, 0};
    if (!waiting.empty()) {
      const auto left = std::max<Clock::duration>(waiting.front().first - Clock::now(), {});
      timeout = {0, std::chrono::duration_cast<std::chrono::nanoseconds>(left).count()};
      if (left >= std::chrono::seconds(1)) timeout = {1, 0};
    }
    ppoll(&readable, 1, &timeout, nullptr);
    ssize_t size = 0;
    while ((size = read(from, packet.data(), packet.size())) > 0) {
      waiting.emplace_back(Clock::now() + delay, packet.substr(0, size));
    }
    while (!waiting.empty() && waiting.front().first <= Clock::now()) {
      // A packet that the device does not take is lost, as on any link.
      if (write(to, waiting.front().second.data(), waiting.front().second.size()) < 0) {
        std::perror("write");
      }
      waiting.pop_front();
    }
  }
}
