// The search of the site runs in a worker, which browsers do not start from a disk: there a frame takes its place.
if (location.protocol === "file:")
  window.Worker = class {
    constructor(address) {
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      this.inside = new Promise((loaded, failed) => {
        this.frame.onload = () => {
          this.frame.onload = null;
          const inside = this.frame.contentWindow;
          inside.postMessage = (data) => setTimeout(() => this.onmessage?.({ data }));
          const script = inside.document.createElement("script");
          script.src = new URL(address, document.baseURI);
          script.onload = () => loaded(inside);
          script.onerror = failed;
          inside.document.head.append(script);
        };
      });
      this.inside.catch((event) => this.onerror?.(event));
      document.body.append(this.frame);
    }
    postMessage(data) {
      this.inside.then((inside) => inside.onmessage({ data }));
    }
    terminate() {
      this.frame.remove();
    }
  };
