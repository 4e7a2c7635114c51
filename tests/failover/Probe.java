import com.mongodb.MongoException;
import com.mongodb.client.MongoClients;
import com.mongodb.client.MongoCollection;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.bson.Document;

/** Writes without a pause: Probe URI SECONDS. Prints a line of JSON, as probe.py does. */
public class Probe {
    public static void main(String[] words) throws Exception {
        MongoCollection<Document> collection = MongoClients.create(words[0]).getDatabase("d").getCollection("c");
        Map<String, Integer> errors = new TreeMap<>();
        long count = 0, longest = 0, last = System.nanoTime();
        long end = last + (long) (Double.parseDouble(words[1]) * 1e9);
        while (System.nanoTime() < end) {
            try {
                collection.insertOne(new Document());
                long now = System.nanoTime();
                longest = count == 0 ? 0 : Math.max(longest, now - last);
                last = now;
                count++;
            } catch (MongoException error) {
                errors.merge(error.getClass().getSimpleName(), 1, Integer::sum);
            }
            Thread.sleep(5);
        }
        longest = Math.max(longest, System.nanoTime() - last);
        String named = errors.entrySet().stream().map(one -> '"' + one.getKey() + "\": " + one.getValue())
                .collect(Collectors.joining(", "));
        System.out.println("{\"writes\": " + count + ", \"errors\": {" + named + "}, \"longest_ms\": "
                + longest / 1000000 + "}");
        System.exit(0);
    }
}
