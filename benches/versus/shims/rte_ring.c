// rte_ring's calls are inline functions: this gives them symbols.
#include <rte_ring.h>
#include <rte_ring_elem.h>

ssize_t versus_rte_ring_bytes(unsigned element, unsigned slots) {
    return rte_ring_get_memsize_elem(element, slots);
}

// One sender; receivers compete if `shared`, and then the ring holds `slots` exactly.
int versus_rte_ring_init(struct rte_ring *ring, unsigned slots, int shared) {
    unsigned kind = shared ? RING_F_EXACT_SZ : RING_F_SC_DEQ;
    return rte_ring_init(ring, "versus", slots, RING_F_SP_ENQ | kind);
}

unsigned versus_rte_ring_put(struct rte_ring *ring, const void *from, unsigned element, unsigned n) {
    return rte_ring_sp_enqueue_burst_elem(ring, from, element, n, NULL);
}

unsigned versus_rte_ring_take(struct rte_ring *ring, void *to, unsigned element, unsigned n) {
    return rte_ring_sc_dequeue_burst_elem(ring, to, element, n, NULL);
}

// All of them or none.
unsigned versus_rte_ring_take_bulk(struct rte_ring *ring, void *to, unsigned element, unsigned n) {
    return rte_ring_sc_dequeue_bulk_elem(ring, to, element, n, NULL);
}

unsigned versus_rte_ring_share(struct rte_ring *ring, void *to, unsigned element, unsigned n) {
    return rte_ring_mc_dequeue_burst_elem(ring, to, element, n, NULL);
}
