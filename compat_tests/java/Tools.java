import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.util.Arrays;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.locks.LockSupport;

import org.apache.kafka.common.utils.Exit;

/** Runs many of Kafka's tools in one JVM. A line on standard input: class and arguments, between them 0x1f; then what
 *  the tool printed on both streams, and a line of 0x1e and its exit code. */
public class Tools {
    static volatile CompletableFuture<Integer> code;

    public static void main(String[] arguments) throws Exception {
        Exit.setExitProcedure((status, message) -> end(status));
        Exit.setHaltProcedure((status, message) -> end(status));
        PrintStream out = System.out;
        System.setErr(out);
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] words = line.split("\u001f", -1);
            code = new CompletableFuture<>();
            Thread tool = new Thread(() -> run(words[0], Arrays.copyOfRange(words, 1, words.length)));
            tool.setDaemon(true);
            tool.start();
            out.printf("%n\u001e%d%n", code.get());
            out.flush();
        }
    }

    /** As System.exit, nothing of the tool runs after it. */
    static void end(int status) {
        code.complete(status);
        while (true) {
            LockSupport.park();
        }
    }

    static void run(String tool, String[] arguments) {
        CompletableFuture<Integer> ours = code;
        try {
            Class.forName(tool).getMethod("main", String[].class).invoke(null, (Object) arguments);
            ours.complete(0);
        } catch (InvocationTargetException e) {
            e.getCause().printStackTrace();
            ours.complete(1);
        } catch (ReflectiveOperationException e) {
            e.printStackTrace();
            ours.complete(1);
        }
    }
}
