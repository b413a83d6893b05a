/* The floor: one write() of a ready frame to every connected socket, for each byte that comes on standard input.
 *
 *     PORT=… floor PAYLOAD_BYTES
 *
 * A client is greeted with the answer to a handshake that it did not make. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST_CLIENTS = 20000, SHORT = 126 };
static const char greeting[] = "HTTP/1.1 101 \r\n\r\n";
static int clients[MOST_CLIENTS];
static int connected;

static char *make_frame(size_t payload, size_t *size) {
    size_t head = payload < SHORT ? 2 : payload < 65536 ? 4 : 10;
    char *frame = malloc(head + payload);
    frame[0] = (char)0x81;
    frame[1] = (char)(head == 2 ? payload : head == 4 ? 126 : 127);
    for (size_t at = head, rest = payload; at > 2; rest >>= 8) frame[--at] = (char)(rest & 255);
    memset(frame + head, 'y', payload);
    *size = head + payload;
    return frame;
}

static void greet(int listener) {
    int yes = 1, client = accept(listener, NULL, NULL);
    if (client < 0) return;
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (connected == MOST_CLIENTS || write(client, greeting, sizeof greeting - 1) < 0)
        close(client);
    else
        clients[connected++] = client;
}

static void write_all(const char *frame, size_t size) {
    for (int at = 0; at < connected;) {
        size_t sent = 0;
        while (sent < size) {
            ssize_t more = write(clients[at], frame + sent, size - sent);
            if (more < 0) break;
            sent += (size_t)more;
        }
        if (sent == size) {
            at++;
        } else {
            close(clients[at]);
            clients[at] = clients[--connected];
        }
    }
}

int main(int count, char **words) {
    const char *port = getenv("PORT");
    if (count != 2 || !port) return 2;
    size_t size;
    char *frame = make_frame(strtoul(words[1], NULL, 10), &size);
    signal(SIGPIPE, SIG_IGN);
    int yes = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listener, (struct sockaddr *)&here, sizeof here) < 0 || listen(listener, 4096) < 0) return 1;
    struct pollfd ready[2] = {{.fd = listener, .events = POLLIN}, {.fd = 0, .events = POLLIN}};
    for (;;) {
        char asked[64];
        poll(ready, 2, -1);
        if (ready[0].revents) greet(listener);
        if (!ready[1].revents) continue;
        ssize_t rounds = read(0, asked, sizeof asked);
        if (rounds <= 0) return 0;
        while (rounds--) write_all(frame, size);
    }
}
