/* A ring buffer of small messages. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RING_MAX 16
#define MIN(a, b) ((a) < (b) ? (a) : (b))

typedef unsigned int index_t;

enum state { EMPTY, READY, FULL };

struct message {
    char text[32];
    enum state state;
};

typedef struct {
    struct message slots[RING_MAX];
    index_t head, tail;
    int (*on_full)(void *context);
} ring_t;

union word {
    unsigned char bytes[4];
    unsigned int value;
};

static ring_t *ring_new(void);
extern int ring_count(const ring_t *ring);

static int drops = 0;
const int ring_version = 3;

/* Makes an empty ring. */
static ring_t *ring_new(void)
{
    ring_t *ring = malloc(sizeof(ring_t));
    if (!ring)
        abort();
    memset(ring, 0, sizeof *ring);
    return ring;
}

int ring_count(const ring_t *ring)
{
    return (int)(ring->head - ring->tail);
}

static inline void copy_text(struct message *to, const char *text)
{
    size_t length = MIN(strlen(text), sizeof to->text - 1);
    memcpy(to->text, text, length);
    to->text[length] = '\0';
    to->state = READY;
}

int ring_put(ring_t *ring, const char *text)
{
    if (ring_count(ring) == RING_MAX) {
        drops++;
        return ring->on_full ? ring->on_full(ring) : -1;
    }
    copy_text(&ring->slots[ring->head++ % RING_MAX], text);
    return 0;
}

#ifdef RING_MAIN
int main(int argc, char **argv)
{
    ring_t *ring = ring_new();
    for (int i = 1; i < argc; i++)
        if (ring_put(ring, argv[i]))
            fprintf(stderr, "dropped %s\n", argv[i]);
    printf("%d\n", ring_count(ring));
    free(ring);
    return 0;
}
#endif
